"""The story tells the truth: one sentence for each cause, what may have arrived, what to correct before a requeue."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    steps.replace("span", to=1, back=None),
    steps.replace("facts", to=3, back=2),
    steps.replace("may_have_arrived", to=1, back=None),
    steps.replace("end_of", to=1, back=None),
    steps.replace("after_end", to=1, back=None),
    steps.replace("locked_by", to=1, back=None),
    steps.replace("obstacle_closed", to=3, back=2),
    steps.replace("obstacle_parked", to=2, back=1),
    steps.replace("obstacle_lost", to=2, back=1),
    steps.replace("obstacle_no_worker", to=2, back=1),
    steps.replace("obstacle_locked", to=1, back=None),
    steps.replace("obstacle_ahead", to=1, back=None),
    steps.replace("obstacle_refused", to=1, back=None),
    steps.replace("obstacle_unable", to=1, back=None),
    steps.replace("obstacles", to=2, back=1),
    steps.replace("next_step", to=3, back=2),
    steps.replace("why", to=4, back=3),
    steps.replace("correct", to=1, back=None),
)

CLOSED_TO_THE_PUBLIC = """\
REVOKE EXECUTE ON FUNCTION noti.locked_by(bigint), noti.correct(bigint, text, text, text, jsonb) FROM PUBLIC;
"""


def upgrade() -> None:
    steps.up(FUNCTIONS)
    steps.run_sql(CLOSED_TO_THE_PUBLIC)
    steps.run_file("0012_rights.sql")
    steps.grant()


def downgrade() -> None:
    steps.run_file("0012_down.sql")
    steps.down(FUNCTIONS)
    steps.grant()
