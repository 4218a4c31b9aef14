"""How many may be sent: rates and quotas of accounts and of tenants' channels, that all workers share."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    steps.replace("destination", to=1, back=None),
    steps.replace("limit_pace", to=1, back=None),
    steps.replace("allow", to=1, back=None),
    steps.replace("slow", to=1, back=None),
    steps.replace("watch_quotas", to=1, back=None),
    steps.replace("on_limit", to=1, back=None),
    steps.replace("on_odd_limit", to=1, back=None),
    steps.replace("within_quota", to=1, back=None),
    steps.replace("on_insert", to=4, back=3),
    steps.replace("allowance", to=1, back=None),
    steps.replace("rate_words", to=1, back=None),
    steps.replace("obstacle_limited", to=1, back=None),
    steps.replace("obstacles", to=4, back=3),
)

TRIGGER = """\
REVOKE EXECUTE ON FUNCTION noti.on_limit(), noti.on_odd_limit() FROM PUBLIC;
CREATE TRIGGER limits_odd BEFORE INSERT OR UPDATE ON noti.limits
  FOR EACH ROW EXECUTE FUNCTION noti.on_odd_limit();
CREATE TRIGGER limits_change AFTER INSERT OR UPDATE OR DELETE ON noti.limits
  FOR EACH ROW EXECUTE FUNCTION noti.on_limit();
"""


def upgrade() -> None:
    steps.run_file("0017_limits.sql")
    steps.up(FUNCTIONS)
    steps.run_sql(TRIGGER)
    steps.run_file("0017_rights.sql")
    steps.grant()


def downgrade() -> None:
    steps.run_file("0017_down.sql")
    steps.down(FUNCTIONS)
    steps.run_file("0017_tables_down.sql")
    steps.grant()
