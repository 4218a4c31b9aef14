"""Whole names are erased and masked, nothing else; who did something is always a login; a story outlives its logs."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    steps.replace("actor", to=2, back=1),
    steps.replace("on_insert", to=3, back=2),
    steps.replace("on_update", to=4, back=3),
    steps.replace("folded", to=1, back=None),
    steps.replace("address", to=1, back=None),
    steps.replace("addresses", to=2, back=1),
    steps.replace("concerns", to=2, back=1),
    steps.replace("without", to=2, back=1),
    steps.replace("clue", to=1, back=None),
    steps.replace("unnamed", to=2, back=1),
    steps.replace("unnamed_json", to=1, back=None),
    steps.replace("masked", to=2, back=1),
    steps.replace("erase", to=2, back=1),
    steps.replace("erase_inbox", to=2, back=1),
    steps.replace("erase_lines", to=2, back=1),
    steps.replace("why", to=3, back=2),
)


def upgrade() -> None:
    steps.run_file("0011_privacy.sql")
    steps.up(FUNCTIONS)
    steps.run_file("0011_rights.sql")
    steps.grant()


def downgrade() -> None:
    steps.run_file("0011_down.sql")
    steps.down(FUNCTIONS)
