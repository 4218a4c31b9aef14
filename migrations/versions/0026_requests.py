"""Accounts without a rate are closed while their provider asks us to wait; operators see which requests are kept."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")


def upgrade() -> None:
    steps.run_file("0026_closures.sql")
    steps.run_file("0026_rights.sql")
    steps.grant()


def downgrade() -> None:
    steps.run_file("0026_down.sql")
