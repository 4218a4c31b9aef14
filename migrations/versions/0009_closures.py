"""What is not sent now, and why: pauses, also of one tenant, and the circuits of accounts."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    steps.replace("pause", to=2, back=1),
    steps.replace("resume", to=2, back=1),
    steps.replace("on_pause", to=2, back=1),
    steps.replace("on_circuit", to=1, back=None),
    steps.replace("open_circuit", to=1, back=None),
    steps.replace("close_circuit", to=1, back=None),
    steps.replace("take_probes", to=1, back=None),
    steps.replace("end_probe", to=1, back=None),
    steps.replace("hasten_probes", to=1, back=None),
    steps.replace("closure_words", to=1, back=None),
    steps.replace("closed_by", to=1, back=None),
    steps.replace("obstacle_closed", to=2, back=1),
)

TRIGGER = """\
REVOKE EXECUTE ON FUNCTION noti.on_circuit() FROM PUBLIC;
CREATE TRIGGER circuits_change AFTER INSERT OR UPDATE OR DELETE ON noti.circuits
  FOR EACH ROW EXECUTE FUNCTION noti.on_circuit();
"""


def upgrade() -> None:
    steps.run_file("0009_closures.sql")
    steps.up(FUNCTIONS)
    steps.run_sql(TRIGGER)
    steps.run_file("0009_rights.sql")
    steps.grant()


def downgrade() -> None:
    steps.run_file("0009_down.sql")
    steps.down(FUNCTIONS)
    steps.run_file("0009_tables_down.sql")
    steps.run_sql(steps.text_of("pause_words", 1))
    steps.run_file("0009_rights_down.sql")
    steps.grant()
