"""Templates have versions, languages and texts of single channels; a row may pin one, and a try says which it was."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

WORDS = (
    steps.replace("languages", to=1, back=None),
    steps.replace("template_names", to=1, back=None),
)
"""What the table is made of; it goes before they do."""

OTHERS = (
    steps.replace("default_languages", to=1, back=None),
    steps.replace("keep_version", to=1, back=None),
    steps.replace("on_version_change", to=1, back=None),
    steps.replace("on_template", to=1, back=None),
    steps.replace("on_version", to=1, back=None),
    steps.replace("publish", to=1, back=None),
    steps.replace("template_texts", to=1, back=None),
    steps.replace("send", to=5, back=4),
    steps.replace("fault", to=2, back=1),
    steps.replace("on_update", to=7, back=6),
    steps.replace("defer_copies", to=3, back=2),
    steps.replace("why", to=9, back=8),
)

FUNCTIONS = (*WORDS, *OTHERS)


def upgrade() -> None:
    steps.run_file("0027_templates.sql")
    steps.up(WORDS)
    steps.run_file("0027_versions.sql")
    steps.up(OTHERS)
    steps.run_file("0027_triggers.sql")
    steps.run_file("0027_rights.sql")
    steps.grant()


def downgrade() -> None:
    steps.run_file("0027_down.sql")
    steps.down(OTHERS)
    steps.run_sql("DROP TABLE noti.template_versions;")
    steps.down(WORDS)
    steps.run_file("0027_tables_down.sql")
    steps.grant()
