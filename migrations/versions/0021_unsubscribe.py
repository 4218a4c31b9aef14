"""The link by which a recipient leaves a category, and takes that back."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    steps.replace("unsubscribe", to=1, back=None),
    steps.replace("resubscribe", to=1, back=None),
)


def upgrade() -> None:
    steps.run_file("0021_unsubscribe.sql")
    steps.up(FUNCTIONS)
    steps.run_file("0021_rights.sql")
    steps.grant()


def downgrade() -> None:
    steps.down(FUNCTIONS)
    steps.run_file("0021_down.sql")
