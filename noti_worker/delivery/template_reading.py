"""What a template reads of its data, without filling it in: for whoever checks templates before they are published."""

from collections.abc import Mapping

from jinja2 import TemplateSyntaxError, meta

from noti_worker.delivery.render_process import named_parts
from noti_worker.delivery.render_sandbox import Refused, names_in, parsed
from noti_worker.domain.notification import Template

_ALWAYS = frozenset(
    {"notification", "unsubscribe_url", "preferences_url", "range", "dict", "namespace", "self", "super", "caller"}
)


def variables(template: Template) -> frozenset[str]:
    """The names at the top of the data that a template, and what it is made of, may ask for."""
    found: set[str] = set()
    for part in ("subject", "body", "html"):
        source = getattr(template, part)
        if source is not None:
            _read(source, dict(named_parts(template, part)), part == "html", found, set())
    return frozenset(found - _ALWAYS)


def _read(source: str, others: Mapping[str, str], html: bool, found: set[str], seen: set[str]) -> None:
    try:
        tree = parsed(source, html)
    except (Refused, TemplateSyntaxError, RecursionError):  # told by whoever fills it in
        return
    found |= meta.find_undeclared_variables(tree)
    for name in names_in(tree):
        if name in others and name not in seen:
            seen.add(name)
            _read(others[name], others, html, found, seen)
