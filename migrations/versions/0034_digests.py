"""Rows with a digest_key gather, and go out as one message when their window ends."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    steps.replace("said", to=2, back=1),
    steps.replace("fault", to=3, back=2),
    steps.replace("assert_invariants", to=3, back=2),
    steps.replace("next_local", to=1, back=None),
    steps.replace("digest_fault", to=1, back=None),
    steps.replace("on_digest", to=1, back=None),
    steps.replace("on_update", to=8, back=7),
    steps.replace("hold", to=2, back=1),
    steps.replace("obstacle_parked", to=3, back=2),
    steps.replace("next_step", to=5, back=4),
    steps.replace("after_end", to=2, back=1),
    steps.replace("erase", to=6, back=5),
    steps.replace("send", to=6, back=5),
    steps.replace("close_digests", to=1, back=None),
    steps.replace("gathers_until", to=1, back=None),
)


def upgrade() -> None:
    steps.run_file("0034_digests.sql")
    steps.up(FUNCTIONS)
    steps.run_file("0034_rights.sql")
    steps.grant()


def downgrade() -> None:
    steps.run_file("0034_down.sql")
    steps.down(FUNCTIONS)
    steps.run_file("0034_tables_down.sql")
    steps.grant()
