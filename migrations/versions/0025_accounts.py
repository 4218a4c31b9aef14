"""Accounts of tenants in the database, with routes through them and sealed secrets."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    steps.replace("own_route", to=1, back=None),
    steps.replace("accounts_for", to=2, back=1),
    steps.replace("closed_by", to=2, back=1),
    steps.replace("on_odd_account", to=1, back=None),
    steps.replace("on_account", to=1, back=None),
    steps.replace("remove_account", to=1, back=None),
    steps.replace("remove_secret", to=1, back=None),
    steps.replace("set_route", to=1, back=None),
)

TRIGGER = """\
REVOKE EXECUTE ON FUNCTION noti.on_account(), noti.on_odd_account(), noti.remove_account, noti.remove_secret,
  noti.set_route FROM PUBLIC;
CREATE TRIGGER accounts_odd BEFORE INSERT OR UPDATE ON noti.accounts
  FOR EACH ROW EXECUTE FUNCTION noti.on_odd_account();
CREATE TRIGGER accounts_change AFTER INSERT OR UPDATE OR DELETE ON noti.accounts
  FOR EACH ROW EXECUTE FUNCTION noti.on_account();
CREATE TRIGGER routes_change AFTER INSERT OR UPDATE OR DELETE ON noti.routes
  FOR EACH ROW EXECUTE FUNCTION noti.on_account();
CREATE TRIGGER secrets_change AFTER INSERT OR UPDATE OR DELETE ON noti.secrets
  FOR EACH ROW EXECUTE FUNCTION noti.on_account();
"""


def upgrade() -> None:
    steps.run_file("0025_accounts.sql")
    steps.up(FUNCTIONS)
    steps.run_sql(TRIGGER)
    steps.run_file("0025_rights.sql")
    steps.grant()


def downgrade() -> None:
    steps.run_file("0025_down.sql")
    steps.down(FUNCTIONS)
    steps.run_file("0025_tables_down.sql")
    steps.grant()
