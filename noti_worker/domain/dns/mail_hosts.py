"""MX (RFC 5321 section 5, 7505): whether mails to a domain, bounces and answers among them, arrive anywhere."""

from collections.abc import Iterator

from noti_worker.domain.dns import Ask, NotTold, not_told
from noti_worker.domain.finding import Finding, ok, problem, warning


def mail_hosts(ask: Ask, domain: str, what: str) -> Iterator[Finding]:
    """Look where mails to a domain go; `what` comes back to it."""
    try:
        told = ask(domain, "MX")
        if not told.exists:
            yield problem("mx", f"there is no {domain}, and {what} come back to it", "correct the name, or register it")
            return
        hosts = sorted({record.split()[-1].rstrip(".").lower() for record in told.records})
        if hosts == [""]:
            todo = "publish an MX record instead, or send from a domain that takes mails"
            yield problem("mx", f'{domain} takes no mail ("MX 0 ."), and {what} come back to it', todo)
        elif not hosts and _found(ask, domain):
            todo = "publish an MX record if that host takes mails; many receivers want to see one"
            yield warning("mx", f"{domain} has no MX record; its address record stands in for it", todo)
        elif not hosts:
            todo = "publish an MX record: many receivers take no mail from a domain that takes none"
            yield problem("mx", f"{domain} has no MX record and no address, and {what} come back to it", todo)
        elif lost := [host for host in hosts if not _found(ask, host)]:
            level = problem if len(lost) == len(hosts) else warning
            yield level("mx", f"{domain}: {', '.join(lost)} has no address", "correct or take out these MX records")
        else:
            yield ok("mx", f"{domain}: {', '.join(hosts)}")
    except NotTold as error:
        yield not_told("mx", error)


def _found(ask: Ask, host: str) -> bool:
    return bool(ask(host, "A").records or ask(host, "AAAA").records)
