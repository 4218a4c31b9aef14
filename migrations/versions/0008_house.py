"""What later steps build on: judged tries, routes of workers, rights as rows, obstacles, retries not said."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    # at home in every database: no role taken by its name, no || that somebody's cast makes ambiguous
    steps.replace("attach_log_partition", to=2, back=1),
    steps.replace("assert_invariants", to=2, back=1),
    steps.replace("attachment_named", to=2, back=1),
    steps.replace("why", to=2, back=1),
    steps.replace("rights_of_roles", to=2, back=1),
    # retries that were not said
    steps.replace("on_unsaid_retries", to=1, back=None),
    steps.replace("on_odd_insert", to=2, back=1),
    steps.replace("on_update", to=2, back=1),
    steps.replace("send", to=2, back=1),
    # what keeps a row from being sent
    steps.replace("lost", to=1, back=None),
    steps.replace("accounts_for", to=1, back=None),
    steps.replace("obstacle_parked", to=1, back=None),
    steps.replace("obstacle_in_flight", to=1, back=None),
    steps.replace("obstacle_closed", to=1, back=None),
    steps.replace("obstacle_lost", to=1, back=None),
    steps.replace("obstacle_expired", to=1, back=None),
    steps.replace("obstacle_not_due", to=1, back=None),
    steps.replace("obstacle_no_worker", to=1, back=None),
    steps.replace("obstacle_unserved", to=1, back=None),
    steps.replace("obstacle_safe_mode", to=1, back=None),
    steps.replace("obstacles", to=1, back=None),
    steps.replace("paused", to=2, back=1),
    steps.replace("facts", to=2, back=1),
    steps.replace("next_step", to=2, back=1),
)


def upgrade() -> None:
    steps.run_file("0008_house.sql")
    steps.up(FUNCTIONS)
    steps.run_file("0008_triggers.sql")
    steps.run_file("0008_rights.sql")
    steps.grant()


def downgrade() -> None:
    steps.run_file("0008_down.sql")
    steps.down(FUNCTIONS)
    steps.run_file("0008_tables_down.sql")
