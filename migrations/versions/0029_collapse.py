"""Of messages with one collapse key only the newest is sent."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")


def upgrade() -> None:
    steps.run_file("0029_collapse.sql")


def downgrade() -> None:
    steps.run_sql("DROP INDEX noti.notifications_log_collapse;")
