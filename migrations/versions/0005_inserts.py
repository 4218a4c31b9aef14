"""The rules of an insert, said in fewer words: they are prepared anew for each statement."""

from pathlib import Path

from alembic import context, op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _run("0005_inserts.sql")


def downgrade() -> None:
    _run("0005_down.sql")


def _run(name: str) -> None:
    sql = Path(__file__).with_name(name).read_text(encoding="utf-8")
    if context.is_offline_mode():
        op.get_context().impl.static_output(sql)
    else:
        # As it stands: neither SQLAlchemy nor the driver looks for parameters in it.
        op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
