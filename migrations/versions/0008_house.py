"""What later steps build on: judged tries, the routes of workers, retries that were not said."""

from pathlib import Path

from alembic import context, op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _run("0008_house.sql")


def downgrade() -> None:
    _run("0008_down.sql")


def _run(name: str) -> None:
    sql = Path(__file__).with_name(name).read_text(encoding="utf-8")
    if context.is_offline_mode():
        op.get_context().impl.static_output(sql)
    else:
        # As it stands: neither SQLAlchemy nor the driver looks for parameters in it.
        op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
