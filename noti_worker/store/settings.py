"""What our sessions set, whatever a role, a database or an environment variable says: said here and nowhere else."""

from collections.abc import Mapping

RELIED_ON: Mapping[str, str] = {
    # No function, operator or table of somebody else stands in for one of ours or of PostgreSQL's.
    "search_path": "pg_catalog,pg_temp",
    # What is read as text, and written as text, is always written alike.
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "extra_float_digits": "1",
    # Each statement sees what others have committed: whoever waited for a lock goes on with the newest row.
    "default_transaction_isolation": "read committed",
}
"""Of every session, a person's too; the encoding of the connection is UTF-8 besides (`connect`)."""

LIMITS: Mapping[str, str] = {
    # Nothing waits for ever: not a statement, not for a lock, not an open transaction.
    "statement_timeout": "10s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "10s",
    # It keeps few connections, and those that wait for a row, a wake-up or a result wait for a reason.
    "idle_session_timeout": "0",
    # The hot statements find their rows by index whether or not the table was ever analyzed.
    "plan_cache_mode": "force_custom_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
    "jit": "off",
}
"""Of a worker's sessions besides; a URL may set others in its `options`."""

SETTINGS: Mapping[str, str] = {**LIMITS, **RELIED_ON}
"""What a worker's session has."""

OF_PEOPLE: Mapping[str, str] = {
    **RELIED_ON,
    "statement_timeout": "60s",
    "lock_timeout": LIMITS["lock_timeout"],
    "idle_in_transaction_session_timeout": "60s",
    # A question is answered in less time than its compilation takes.
    "jit": LIMITS["jit"],
}
"""What a person's session has: any plan, and a minute for a statement."""


def options(given: str | None) -> str:
    """For libpq's parameter of this name: our limits, what the URL says instead, and what nobody may change."""
    return " ".join([*_options(LIMITS), *([given] if given else []), *_options(RELIED_ON)])


def local(settings: Mapping[str, str]) -> str:
    """The statements that set them for one transaction: behind a pooler those of a session would leak to others.

    They are no query: what may only stand before the first one, such as an isolation level, may still follow.
    A default for transactions comes too late for this one, and is set for itself.
    """
    set_ = {name.removeprefix("default_"): value for name, value in settings.items()}
    return "; ".join(f"SET LOCAL {name} = {_quoted(value)}" for name, value in set_.items())


def of_environment() -> str:
    """The statements that take back what libpq asks for because of PGDATESTYLE and PGTZ, which win over options."""
    return "; ".join(f"SET {name} = {_quoted(RELIED_ON[name])}" for name in ("datestyle", "timezone"))


def _quoted(value: str) -> str:
    return ", ".join(f"'{part}'" for part in value.split(","))


def _options(settings: Mapping[str, str]) -> list[str]:
    return ["-c {}={}".format(name, value.replace(" ", "\\ ")) for name, value in settings.items()]
