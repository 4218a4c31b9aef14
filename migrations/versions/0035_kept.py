"""What a message said, kept for a while where its category wishes so; and people erased with their addresses."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    steps.replace("erase_kept", to=1, back=None),
    steps.replace("erase_contacts", to=1, back=None),
    steps.replace("erase", to=7, back=6),
    steps.replace("on_odd_category", to=2, back=1),
    steps.replace("on_audit_change", to=3, back=2),
)


def upgrade() -> None:
    steps.run_file("0035_kept.sql")
    steps.up(FUNCTIONS)
    steps.run_file("0035_rights.sql")
    steps.grant()


def downgrade() -> None:
    steps.down(FUNCTIONS)
    steps.run_file("0035_down.sql")
