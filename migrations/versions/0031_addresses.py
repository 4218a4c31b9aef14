"""Rows that name a person go to that person's addresses; one message goes out on several channels."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

OTHERS = (
    steps.replace("contact_left", to=1, back=None),
    steps.replace("on_contact", to=1, back=None),
    steps.replace("reached", to=1, back=None),
    steps.replace("preferred_channels", to=1, back=None),
    steps.replace("suppress_answers", to=2, back=1),
    steps.replace("receive", to=3, back=2),
    steps.replace("on_new", to=4, back=3),
    steps.replace("defer_copies", to=4, back=3),
    steps.replace("why", to=10, back=9),
)

FUNCTIONS = (*OTHERS, steps.replace("send_each", to=1, back=None))
"""The last is `noti.send` for several channels, beside the one for a single channel: it goes by its arguments."""


def upgrade() -> None:
    steps.up(FUNCTIONS)
    steps.run_file("0031_addresses.sql")
    steps.grant()


def downgrade() -> None:
    steps.run_file("0031_down.sql")
    steps.down(OTHERS)
    steps.grant()
