"""To whom nothing is sent any more: the suppression list, categories of messages, and replies of recipients."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0018"
down_revision = "0016"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    steps.replace("ascii_domain", to=1, back=None),
    steps.replace("normal_address", to=1, back=None),
    steps.replace("address_hash", to=1, back=None),
    steps.replace("on_suppression", to=1, back=None),
    steps.replace("suppression_fault", to=1, back=None),
    steps.replace("suppress", to=1, back=None),
    steps.replace("suppress_answers", to=1, back=None),
    steps.replace("lift", to=1, back=None),
    steps.replace("reply_word", to=1, back=None),
    steps.replace("heard", to=1, back=None),
    steps.replace("erase_suppressions", to=1, back=None),
)

TRIGGER = """\
REVOKE EXECUTE ON FUNCTION noti.on_suppression(), noti.erase_suppressions(text, text, boolean) FROM PUBLIC;
CREATE TRIGGER suppressions_change AFTER INSERT OR UPDATE OF hits, lifted_at ON noti.suppressions
  FOR EACH ROW EXECUTE FUNCTION noti.on_suppression();
"""


def upgrade() -> None:
    steps.run_file("0018_suppressions.sql")
    steps.up(FUNCTIONS)
    steps.run_sql(TRIGGER)
    steps.run_file("0018_rights.sql")
    steps.grant()


def downgrade() -> None:
    steps.run_file("0018_down.sql")
    steps.down(FUNCTIONS)
