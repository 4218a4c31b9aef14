"""What a database's URL says about time: a worker starts only when no call can outlast the time that it waits."""

import re

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.secret import Secret
from noti_worker.store.connect import ANSWER_WITHIN, named_in
from noti_worker.store.settings import SETTINGS

_OPTION = re.compile(r"(?:-c\s*|--)(statement[-_]timeout|lock[-_]timeout)\s*=\s*'?(\d+)\s*(ms|s|min|h|d)?'?")
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def check_limits(url: Secret) -> None:
    """Raise ConfigurationError when `url` overrides a time limit with one that does not fit the others.

    `connect_timeout` (seconds), `tcp_user_timeout` (milliseconds), and in `options` `statement_timeout` and
    `lock_timeout` are looked at; a worker gives up every call after ANSWER_WITHIN seconds.
    """
    named = named_in(url.reveal())
    for name, unit in (("connect_timeout", 1.0), ("tcp_user_timeout", 0.001)):
        if name in named:
            _check(name, str(named[name]), int(named[name]) * unit)
    limits = {**SETTINGS}
    for name, number, unit_ in _OPTION.findall(str(named.get("options") or "")):
        limits[name.replace("-", "_")] = f"{number}{unit_ or 'ms'}"
    statement, lock = (_seconds(limits[name]) for name in ("statement_timeout", "lock_timeout"))
    _check("statement_timeout", limits["statement_timeout"], statement)
    if not 0 < lock <= statement:
        raise ConfigurationError(
            f"database.url: lock_timeout is {limits['lock_timeout']}, statement_timeout {limits['statement_timeout']}:"
            " a lock is waited for as long as a statement may take at most, and not for ever (0)"
        )


def _check(name: str, written: str, seconds: float) -> None:
    if not 0 < seconds < ANSWER_WITHIN:
        raise ConfigurationError(
            f"database.url: {name} is {written}; it must end (0 is for ever) before the {ANSWER_WITHIN:g}s"
            " after which a worker gives up a call"
        )


def _seconds(written: str) -> float:
    match = re.fullmatch(r"(\d+)(\D+)", written)
    assert match is not None
    return int(match[1]) * _SECONDS[match[2]]
