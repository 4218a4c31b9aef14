"""Records of the DNS (TXT, MX, addresses), asked of a resolver; needs the extra `dns`."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address

from noti_worker.domain.dns import NotTold, Told
from noti_worker.domain.errors import ConfigurationError

PATIENCE = 5.0
"""Seconds for one question, all its repetitions and the way over TCP included."""


class Records:
    """Asks one resolver, `ADDRESS` or `ADDRESS:PORT`, or without one those of the system. Used by several threads."""

    def __init__(self, resolver: str | None = None, patience: float | None = None) -> None:
        """Raises ConfigurationError without the extra, or when there is nobody to ask."""
        try:
            from dns.exception import DNSException
            from dns.resolver import Resolver
        except ModuleNotFoundError:
            raise ConfigurationError(
                "records of the DNS are looked up by the extra dns: pip install 'noti-worker[dns]'"
            ) from None
        try:
            self._resolver = Resolver(configure=resolver is None)
            if resolver is not None:
                address, port = _place(resolver)
                self._resolver.nameservers, self._resolver.port = [address], port
        except DNSException as error:
            raise ConfigurationError(f"no resolver is configured on this machine ({error}): name one") from None
        self._patience = PATIENCE if patience is None else patience

    def __call__(self, name: str, kind: str) -> Told:
        """The records of a name, each as text; what stands in several pieces is joined. Raises NotTold."""
        from dns.resolver import NXDOMAIN

        with _in_words(name, self._patience):
            try:
                answer = self._resolver.resolve(
                    name, kind, lifetime=self._patience, raise_on_no_answer=False, search=False
                )
            except NXDOMAIN:
                return Told(exists=False)
            if kind == "TXT":
                return Told([b"".join(record.strings).decode("utf-8", "replace") for record in answer])
            return Told([record.to_text() for record in answer])


@contextmanager
def _in_words(name: str, patience: float) -> Iterator[None]:
    from dns.exception import DNSException, Timeout
    from dns.resolver import YXDOMAIN, NoNameservers

    try:
        yield
    except Timeout:
        raise NotTold(f"{name}: no answer from the resolver within {patience:g} s", theirs=False) from None
    except NoNameservers as error:
        code = _code(error)
        if code == "SERVFAIL":
            words = (
                "the resolver got no valid answer (SERVFAIL): its name servers do not answer, or its DNSSEC is wrong"
            )
            raise NotTold(f"{name}: {words}", theirs=True) from None
        raise NotTold(f"{name}: the resolver refuses to look it up ({code})", theirs=False) from None
    except YXDOMAIN:
        raise NotTold(f"{name}: an alias (DNAME) makes its name too long", theirs=True) from None
    except DNSException as error:
        raise NotTold(f"{name}: {error or type(error).__name__}", theirs=False) from None
    except OSError as error:
        raise NotTold(f"{name}: the resolver is not reached: {error}", theirs=False) from None


def _code(error: Exception) -> str:
    """The answer of the last resolver that gave one."""
    from dns.rcode import to_text

    for *_, response in reversed(getattr(error, "kwargs", {}).get("errors", ())):
        if response is not None:
            return to_text(response.rcode())
    return "no answer"


def _place(text: str) -> tuple[str, int]:
    """Read `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`."""
    address, port = text, "53"
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        port = port.removeprefix(":") or "53"
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    with suppress(ValueError):
        if 1 <= int(port) <= 65535:
            return str(ip_address(address)), int(port)
    raise ConfigurationError(f"{text!r} is no address of a resolver: write 127.0.0.1, 127.0.0.1:5353 or [::1]:5353")
