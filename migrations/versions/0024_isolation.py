"""Tenants isolated by database roles: row-level security, and functions that ask by themselves."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")

FUNCTIONS = (
    steps.replace("asker", to=1, back=None),
    steps.replace("isolated", to=1, back=None),
    steps.replace("sees_tenant", to=1, back=None),
    steps.replace("check_tenant", to=1, back=None),
    steps.replace("tenant_rule", to=1, back=None),
    steps.replace("on_tenant_table", to=1, back=None),
    steps.replace("on_tenant_member", to=1, back=None),
    steps.replace("isolate_tenants", to=1, back=None),
    steps.replace("attach_log_partition", to=3, back=2),
    # what a role's own tenant is
    steps.replace("on_new", to=3, back=2),
    steps.replace("send", to=4, back=3),
    # tries carry their tenant
    steps.replace("defer_copies", to=2, back=1),
    # what runs with the owner's rights passes by the policies, so it asks by itself
    steps.replace("correct", to=2, back=1),
    steps.replace("locked_by", to=2, back=1),
    steps.replace("erase", to=5, back=4),
    steps.replace("erase_inbox", to=3, back=2),
    steps.replace("erase_lines", to=3, back=2),
    steps.replace("erase_receipts", to=2, back=1),
    steps.replace("erase_suppressions", to=2, back=1),
    # no role of ours may lock what workers read: it takes no right to delete from it
    steps.replace("pause", to=3, back=2),
    steps.replace("resume", to=3, back=2),
    steps.replace("heard", to=2, back=1),
    steps.replace("unlimit", to=1, back=None),
    steps.replace("unset", to=1, back=None),
    steps.replace("remove_endpoint", to=1, back=None),
    steps.replace("recover_endpoint", to=2, back=1),
    steps.replace("test_endpoint", to=2, back=1),
)


def upgrade() -> None:
    steps.run_file("0024_isolation.sql")
    steps.up(FUNCTIONS)
    steps.run_file("0024_tables.sql")
    steps.grant()
    steps.run_file("0024_walls.sql")


def downgrade() -> None:
    steps.run_file("0024_down.sql")
    steps.down(FUNCTIONS)
    steps.run_file("0024_down_tries.sql")
    steps.grant()
