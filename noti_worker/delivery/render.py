"""Templates are filled in by limited child processes: this is the side of the threads that wait.

Quick templates share one child, slow ones another, so that nobody waits behind a second of somebody else's CPU time.
The queue in front of a child stands in `render_line.py`, what templates cost in `render_pace.py`, the line to the
child in `render_process.py`; what the child may do and how it is confined in `render_child.py`.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from noti_worker.delivery.render_line import Line
from noti_worker.delivery.render_pace import Pace, Slow, TemplateRests
from noti_worker.delivery.render_process import RendererAway, Request
from noti_worker.domain.errors import BadNotification, NotiError
from noti_worker.domain.notification import Template
from noti_worker.domain.ports import Observer
from noti_worker.domain.value import value

__all__ = ["Rendered", "Renderer", "RendererAway", "TemplateRests"]


@value
class Rendered:
    """The parts of a message; None for a part that there is not."""

    subject: str | None = field(default=None, repr=False)
    text: str | None = field(default=None, repr=False)
    html: str | None = field(default=None, repr=False)


class Renderer:
    """Renders for all threads of a worker; a child starts with the first template that it gets.

    `timeout` is the CPU time in seconds that one message's templates may take.
    """

    def __init__(self, observer: Observer, timeout: float = 1.0) -> None:
        self._pace = Pace()
        self._quick = Line(observer, timeout, self._pace, self._slow_one)
        self._slow = Line(observer, timeout, self._pace, self._pace.rests)

    def render(self, template: Template, data: str | None, notification: Mapping[str, Any], tenant_id: str) -> Rendered:
        """Fill in the parts that `template` has, with `data` (JSON text) and the variable `notification`.

        Raises BadNotification when the template or its data is at fault, RendererAway when the machine is, and
        TemplateRests when the template was killed before and is not tried for now. Tenants take turns.
        """
        if template.subject is None and template.body is None and template.html is None:
            return Rendered()
        request = Request(template, data, notification, tenant_id)
        try:
            answer = self._quick.ask(request)
        except Slow:
            answer = self._slow.ask(request)
        if answer.error is not None:
            raise BadNotification(f"template {template.template_id!r}: {answer.error}")
        return Rendered(answer.subject, answer.body, answer.html)

    def close(self) -> None:
        """End the children."""
        self._quick.close()
        self._slow.close()

    def _slow_one(self, request: Request) -> NotiError | None:
        return Slow("it took long before") if self._pace.is_slow(request) else None
