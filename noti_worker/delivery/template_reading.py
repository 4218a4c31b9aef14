"""What a template reads of its data, without filling it in: for whoever checks templates before they are published."""

from collections.abc import Iterator, Mapping

from jinja2 import TemplateSyntaxError, meta, nodes

from noti_worker.delivery.render_process import named_parts
from noti_worker.delivery.render_sandbox import Refused, names_in, parsed
from noti_worker.domain.notification import Template

_ALWAYS = frozenset(
    {
        "notification",
        "unsubscribe_url",
        "preferences_url",
        "direction",
        "range",
        "dict",
        "namespace",
        "self",
        "super",
        "caller",
    }
)


def plurals(template: Template) -> frozenset[frozenset[str]]:
    """The forms that each `plural` of a template, and of what it is made of, gives."""
    found: set[frozenset[str]] = set()
    for tree in _trees(template):
        for node in tree.find_all(nodes.Filter):
            if node.name == "plural" and node.dyn_kwargs is None:
                found.add(frozenset(str(keyword.key) for keyword in node.kwargs))
    return frozenset(found)


def variables(template: Template) -> frozenset[str]:
    """The names at the top of the data that a template, and what it is made of, may ask for."""
    found: set[str] = set()
    for tree in _trees(template):
        found |= meta.find_undeclared_variables(tree)
    return frozenset(found - _ALWAYS)


def _trees(template: Template) -> Iterator[nodes.Template]:
    for part in ("subject", "body", "html"):
        source = getattr(template, part)
        if source is not None:
            yield from _read(source, dict(named_parts(template, part)), part == "html", set())


def _read(source: str, others: Mapping[str, str], html: bool, seen: set[str]) -> Iterator[nodes.Template]:
    try:
        tree = parsed(source, html)
    except (Refused, TemplateSyntaxError, RecursionError):  # told by whoever fills it in
        return
    yield tree
    for name in names_in(tree):
        if name in others and name not in seen:
            seen.add(name)
            yield from _read(others[name], others, html, seen)
