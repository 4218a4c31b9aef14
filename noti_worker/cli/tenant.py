"""`tenant`: the group of all commands that look after tenants; what they do stands in files of their own."""

import click

from noti_worker.cli import isolating, tenant_end, tenants


@click.group()
def tenant() -> None:
    """Look after tenants: who is suspended, what each may do, which database roles see it, its settings, usage and end."""


for _command in (
    tenants.list_,
    tenants.add,
    tenants.show_,
    tenants.set_,
    tenants.suspend,
    tenants.resume,
    tenants.setting,
    tenants.usage,
    isolating.isolate,
    isolating.bind,
    isolating.unbind,
    isolating.members,
    tenant_end.export,
    tenant_end.remove,
):
    tenant.add_command(_command)
