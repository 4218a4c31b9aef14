"""People read on a standby, too: the register of workers is unlogged, and left out there.

A worker that lives has not lost a row whose lease is over, and what it cannot do for other channels holds up no row.
"""

from pathlib import Path

from alembic.util import load_python_file

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    steps.replace("registered", to=1, back=None),
    steps.replace("registered_routes", to=1, back=None),
    steps.replace("lost", to=2, back=1),
    steps.replace("obstacle_no_worker", to=3, back=2),
    steps.replace("obstacle_in_flight", to=2, back=1),
    steps.replace("obstacle_unable", to=2, back=1),
    steps.replace("obstacle_locked", to=2, back=1),
    steps.replace("obstacles", to=3, back=2),
    steps.replace("next_step", to=4, back=3),
)


def upgrade() -> None:
    steps.up(FUNCTIONS)
    steps.run_file("0015_views.sql")
    steps.run_file("0015_rights.sql")
    steps.grant()


def downgrade() -> None:
    steps.run_file("0015_down.sql")
    steps.down(FUNCTIONS)
    steps.grant()
