"""People sleep, and want no more than so many messages: quiet hours, send windows and caps."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    steps.replace("clock_shows", to=1, back=None),
    steps.replace("quiet_until", to=1, back=None),
    steps.replace("window_parts", to=1, back=None),
    steps.replace("window_opens", to=1, back=None),
    steps.replace("on_odd_category", to=1, back=None),
    steps.replace("allowed", to=1, back=None),
    steps.replace("take_places", to=1, back=None),
    steps.replace("on_odd_setting", to=2, back=1),
    steps.replace("obstacle_not_due", to=2, back=1),
)


def upgrade() -> None:
    steps.up(FUNCTIONS)
    steps.run_file("0033_hours.sql")
    steps.grant()


def downgrade() -> None:
    steps.run_file("0033_down.sql")
    steps.down(FUNCTIONS)
