"""What applications may insert and change: documents bounded as text, no place ahead in the line, no message_id."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    steps.replace("said", to=1, back=None),
    steps.replace("too_large", to=1, back=None),
    steps.replace("on_new", to=1, back=None),
    steps.replace("on_update", to=3, back=2),
    steps.replace("send", to=3, back=2),
    steps.replace("on_insert", to=2, back=1),
    steps.replace("on_pause", to=3, back=2),
    steps.replace("on_circuit", to=2, back=1),
)


def upgrade() -> None:
    steps.up(FUNCTIONS)
    steps.run_file("0010_bounds.sql")
    steps.grant()


def downgrade() -> None:
    steps.run_sql("DROP TRIGGER notifications_log_new ON noti.notifications_log;")
    steps.down(FUNCTIONS)
    for name, number in (("on_unsaid_retries", 1), ("on_odd_insert", 2)):
        steps.run_sql(steps.text_of(name, number))
    steps.run_file("0010_down.sql")
    steps.grant()
