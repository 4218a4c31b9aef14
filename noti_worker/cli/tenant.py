"""`tenant`: the group of the commands that look after tenants; each family of them is a file of its own."""

import click


@click.group()
def tenant() -> None:
    """Look after tenants: who is bound to which, and whether they are isolated."""
