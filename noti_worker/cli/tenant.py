"""`tenant`: the group of all commands that look after tenants; what they do stands in files of their own."""

import click

from noti_worker.cli import isolating, tenant_end, tenants


@click.group()
def tenant() -> None:
    """Look after tenants: what each may do and uses, who is suspended, which database roles see whom, and its end."""


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
