"""Applications know people, not addresses: whose address is which, and what each person chose."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (steps.replace("on_zone", to=1, back=None),)


def upgrade() -> None:
    steps.up(FUNCTIONS)
    steps.run_file("0030_contacts.sql")
    steps.grant()


def downgrade() -> None:
    steps.run_file("0030_down.sql")
    steps.down(FUNCTIONS)
