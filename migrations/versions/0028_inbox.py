"""What an application asks of the inbox: pages, what is unread, what was read, and a word when something came."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    steps.replace("unread", to=1, back=None),
    steps.replace("inbox_page", to=1, back=None),
    steps.replace("mark_seen", to=1, back=None),
    steps.replace("mark_read", to=1, back=None),
    steps.replace("mark_all_read", to=1, back=None),
    steps.replace("inbox_channel", to=1, back=None),
    steps.replace("on_inbox", to=1, back=None),
    steps.replace("notify_inbox", to=1, back=None),
)


def upgrade() -> None:
    steps.up(FUNCTIONS)
    steps.run_file("0028_inbox.sql")
    steps.grant()


def downgrade() -> None:
    steps.run_file("0028_down.sql")
    steps.down(FUNCTIONS)
