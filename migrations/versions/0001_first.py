"""The queue, the history, their guards and the functions for applications."""

from pathlib import Path

from alembic import context, op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

PARTS = ("requirements", "tables", "words", "guards", "functions", "story", "invariants")


def upgrade() -> None:
    for part in PARTS:
        _run(f"0001_{part}.sql")


def downgrade() -> None:
    _run("0001_down.sql")


def _run(name: str) -> None:
    sql = Path(__file__).with_name(name).read_text(encoding="utf-8")
    if context.is_offline_mode():
        op.get_context().impl.static_output(sql)
    else:
        # As it stands: neither SQLAlchemy nor the driver looks for parameters in it.
        op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
