"""Endpoints of an application hear what became of its messages, as signed webhooks through the same queue."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    steps.replace("tell", to=1, back=None),
    steps.replace("on_endpoint", to=1, back=None),
    steps.replace("next_envelope", to=1, back=None),
    steps.replace("pump_events", to=1, back=None),
    steps.replace("test_endpoint", to=1, back=None),
    steps.replace("recover_endpoint", to=1, back=None),
    steps.replace("on_update", to=6, back=5),
    steps.replace("receive", to=2, back=1),
    steps.replace("unsubscribe", to=2, back=1),
    steps.replace("erase", to=4, back=3),
    steps.replace("why", to=8, back=7),
)

TRIGGER = """\
CREATE TRIGGER endpoints_odd BEFORE INSERT OR UPDATE ON noti.endpoints
  FOR EACH ROW EXECUTE FUNCTION noti.on_endpoint();
CREATE TRIGGER endpoints_change AFTER INSERT OR UPDATE OR DELETE ON noti.endpoints
  FOR EACH ROW EXECUTE FUNCTION noti.on_endpoint();
"""

TABLES = """\
DROP TABLE noti.envelopes, noti.events, noti.endpoints;
DROP SEQUENCE noti.event_places;
"""


def upgrade() -> None:
    steps.run_file("0022_endpoints.sql")
    steps.up(FUNCTIONS)
    steps.run_sql(TRIGGER)
    steps.run_file("0022_rights.sql")
    steps.grant()


def downgrade() -> None:
    steps.run_file("0022_down.sql")
    steps.down(FUNCTIONS)
    steps.run_sql(TABLES)
    steps.grant()
