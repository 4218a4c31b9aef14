"""What later steps build on: judged tries, the routes of workers, retries that were not said."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")


def upgrade() -> None:
    steps.run_file("0008_house.sql")


def downgrade() -> None:
    steps.run_file("0008_down.sql")
