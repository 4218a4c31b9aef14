"""The two logs in monthly partitions, so that old months can be dropped; what retention needs to find its rows."""

from pathlib import Path

from alembic import context, op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for part in ("partitions", "logs", "invariants"):
        _run(f"0003_{part}.sql")


def downgrade() -> None:
    _run("0003_down.sql")
    _run("0001_invariants.sql")


def _run(name: str) -> None:
    sql = Path(__file__).with_name(name).read_text(encoding="utf-8")
    if context.is_offline_mode():
        op.get_context().impl.static_output(sql)
    else:
        # As it stands: neither SQLAlchemy nor the driver looks for parameters in it.
        op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
