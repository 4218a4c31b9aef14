"""What categories say of their messages, and what people choose of them."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    steps.replace("on_category", to=1, back=None),
    steps.replace("remove_category", to=1, back=None),
    steps.replace("on_preference", to=1, back=None),
    steps.replace("choice_words", to=1, back=None),
    steps.replace("choose", to=1, back=None),
    steps.replace("choices", to=1, back=None),
)


def upgrade() -> None:
    steps.run_file("0032_choices.sql")
    steps.up(FUNCTIONS)
    steps.run_file("0032_rights.sql")
    steps.grant()


def downgrade() -> None:
    steps.run_file("0032_down.sql")
    steps.down(FUNCTIONS)
    steps.run_file("0032_tables_down.sql")
    steps.grant()
