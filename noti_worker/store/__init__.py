"""The SQL room: tables, named statements, and rows that become dataclasses before they leave."""
