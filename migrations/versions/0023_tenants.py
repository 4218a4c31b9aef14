"""Tenants: who is suspended, what a tenant may do at most, its settings, what it used, and how it is removed."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    steps.replace("closure_words", to=2, back=1),
    steps.replace("on_odd_tenant", to=1, back=None),
    steps.replace("on_tenant", to=1, back=None),
    steps.replace("host_among", to=1, back=None),
    steps.replace("sender_among", to=1, back=None),
    steps.replace("within_tenant", to=1, back=None),
    steps.replace("on_insert", to=5, back=4),
    steps.replace("watch_tenants", to=1, back=None),
    steps.replace("setting", to=1, back=None),
    steps.replace("on_odd_setting", to=1, back=None),
    steps.replace("on_setting", to=1, back=None),
    steps.replace("usage_report", to=1, back=None),
    steps.replace("tables_of_tenant", to=1, back=None),
    steps.replace("tenant_condition", to=1, back=None),
    steps.replace("count_tenant", to=1, back=None),
    steps.replace("remove_pages", to=1, back=None),
    steps.replace("end_removal", to=1, back=None),
    steps.replace("on_audit_change", to=2, back=1),
)

TRIGGERS = """\
CREATE TRIGGER tenants_odd BEFORE INSERT OR UPDATE ON noti.tenants
  FOR EACH ROW EXECUTE FUNCTION noti.on_odd_tenant();
CREATE TRIGGER tenants_change AFTER INSERT OR DELETE OR UPDATE OF status, reason, waiting_rows, waiting_bytes,
  highest_priority, channels, providers, senders, hosts ON noti.tenants
  FOR EACH ROW EXECUTE FUNCTION noti.on_tenant();
CREATE TRIGGER settings_odd BEFORE INSERT OR UPDATE ON noti.settings
  FOR EACH ROW EXECUTE FUNCTION noti.on_odd_setting();
CREATE TRIGGER settings_change AFTER INSERT OR UPDATE OR DELETE ON noti.settings
  FOR EACH ROW EXECUTE FUNCTION noti.on_setting();
"""


def upgrade() -> None:
    steps.run_file("0023_tenants.sql")
    steps.up(FUNCTIONS)
    steps.run_sql(TRIGGERS)
    steps.run_file("0023_rights.sql")
    steps.grant()


def downgrade() -> None:
    steps.run_file("0023_down.sql")
    steps.down(FUNCTIONS)
    steps.run_file("0023_tables_down.sql")
    steps.grant()
