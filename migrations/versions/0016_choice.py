"""A try says why its account was asked."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (steps.replace("why", to=6, back=5),)


def upgrade() -> None:
    steps.run_file("0016_choice.sql")
    steps.up(FUNCTIONS)
    steps.grant()


def downgrade() -> None:
    steps.down(FUNCTIONS)
    steps.run_file("0016_down.sql")
    steps.grant()
