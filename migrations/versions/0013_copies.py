"""A copy that a mail server refuses for now is not lost: it waits as a notification of its own."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    steps.replace("on_new", to=2, back=1),
    steps.replace("on_update", to=5, back=4),
    steps.replace("concerns", to=3, back=2),
    steps.replace("erase", to=3, back=2),
    steps.replace("defer_copies", to=1, back=None),
    steps.replace("why", to=5, back=4),
)


def upgrade() -> None:
    steps.run_file("0013_copies.sql")
    steps.up(FUNCTIONS)
    steps.run_file("0013_rights.sql")
    steps.grant()


def downgrade() -> None:
    steps.down(FUNCTIONS)
    steps.run_file("0013_down.sql")
    steps.grant()
