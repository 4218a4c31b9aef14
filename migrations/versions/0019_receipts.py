"""What providers tell of messages afterwards: stored as it came, read by a task, and told by the story."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    steps.replace("receipt_rank", to=1, back=None),
    steps.replace("receive", to=1, back=None),
    steps.replace("erase_receipts", to=1, back=None),
    steps.replace("why", to=7, back=6),
)


def upgrade() -> None:
    steps.run_file("0019_receipts.sql")
    steps.up(FUNCTIONS)
    steps.run_file("0019_rights.sql")
    steps.grant()


def downgrade() -> None:
    steps.down(FUNCTIONS)
    steps.run_file("0019_down.sql")
    steps.grant()
