"""A recipient is masked in a provider's words in every spelling: without + or @, with 00, with blanks in it."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (steps.replace("masked", to=3, back=2),)


def upgrade() -> None:
    steps.up(FUNCTIONS)


def downgrade() -> None:
    steps.down(FUNCTIONS)
