"""Templates are filled in by one limited child process per worker: this is the side of the threads that wait.

The line to the child stands in `render_process.py`; what the child may do and how it is confined in
`render_child.py`.
"""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from noti_worker.delivery.render_process import Answer, Ended, Process, RendererAway, Request
from noti_worker.domain.errors import BadNotification, NotiError
from noti_worker.domain.facts import RendererKilled
from noti_worker.domain.notification import Template
from noti_worker.domain.ports import Observer
from noti_worker.domain.value import value

__all__ = ["Rendered", "Renderer", "RendererAway"]

_MOST_TOGETHER = 32  # rows on one trip, and
_LARGEST_TRIP = 1024 * 1024  # bytes, unless one row alone has more


@value
class Rendered:
    """The parts of a message; None for a part that there is not."""

    subject: str | None = field(default=None, repr=False)
    text: str | None = field(default=None, repr=False)
    html: str | None = field(default=None, repr=False)


class Renderer:
    """Renders for all threads of a worker; the child starts with the first one.

    `timeout` is the CPU time in seconds that one message's templates may take. Threads that come while a trip to the
    child is under way share the next one, on which the first of them takes all the others along.
    """

    def __init__(self, observer: Observer, timeout: float = 1.0) -> None:
        self._observer = observer
        self._timeout = timeout
        self._child: Process | None = None
        self._line = threading.Lock()  # of whoever talks to the child
        self._lock = threading.Lock()  # of the two below
        self._waiting: deque[_Job] = deque()
        self._under_way = False

    def render(self, template: Template, data: str | None, notification: Mapping[str, Any]) -> Rendered:
        """Fill in the parts that `template` has, with `data` (JSON text) and the variable `notification`.

        Raises BadNotification when the template or its data is at fault, RendererAway when the machine is.
        """
        if template.subject is None and template.body is None and template.html is None:
            return Rendered()
        job = _Job(Request(template, data, notification))
        with self._lock:
            self._waiting.append(job)
            somebody, self._under_way = self._under_way, True
        if somebody:
            job.wait()  # for the answer, or for the turn to go
        if job.answer is None:
            self._go()
        if isinstance(job.answer, NotiError):
            raise job.answer
        assert job.answer is not None
        if job.answer.error is not None:
            raise BadNotification(f"template {template.template_id!r}: {job.answer.error}")
        return Rendered(job.answer.subject, job.answer.body, job.answer.html)

    def close(self) -> None:
        """End the child."""
        with self._line:
            self._end()

    def _go(self) -> None:
        """Make one trip for the first who wait, and let the next one go."""
        with self._lock:
            jobs = [self._waiting.popleft()]
            size = jobs[0].request.size
            while self._waiting and len(jobs) < _MOST_TOGETHER:
                size += self._waiting[0].request.size
                if size > _LARGEST_TRIP:
                    break
                jobs.append(self._waiting.popleft())
        try:
            with self._line:
                self._have_answered(jobs)
        finally:
            for job in jobs:
                if job.answer is None:  # a bug, or the interpreter ends: nobody must wait for ever
                    job.tell(RendererAway("the render process was not asked"))
            with self._lock:
                self._under_way = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].wake()

    def _have_answered(self, jobs: Sequence["_Job"]) -> None:
        """Give every job its answer. A child that ends harms the one it was at; the others go on with a fresh one."""
        left = deque(jobs)
        while left:
            try:
                for answer in self._running().ask([job.request for job in left]):
                    left.popleft().tell(answer)
            except Ended as ended:
                suspect = left.popleft()
                self._bury(suspect, ended)
                suspect.tell(self._judge(suspect, ended))
            except RendererAway as away:
                while left:
                    left.popleft().tell(RendererAway(str(away)))

    def _judge(self, job: "_Job", ended: Ended) -> Answer | NotiError:
        """The answer to the job under which the child ended."""
        template_id = job.request.template.template_id
        if ended.guilty:
            return BadNotification(f"template {template_id!r} {ended}")
        # Killed from outside, or full of other templates: the fresh child decides.
        try:
            (answer,) = self._running().ask([job.request])
        except Ended as second:
            self._bury(job, second)
            if second.innocent:
                return RendererAway(f"the render process {second}")
            return BadNotification(f"template {template_id!r} {second}")
        except RendererAway as away:
            return away
        return answer

    def _running(self) -> Process:
        if self._child is None:
            self._child = Process(self._timeout)
        return self._child

    def _bury(self, job: "_Job", ended: Ended) -> None:
        self._end()
        self._observer.on(RendererKilled(job.request.template.template_id, str(ended)))

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


class _Job:
    """One message to fill in, for a thread that waits."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.answer: Answer | NotiError | None = None
        self._turn = threading.Lock()
        self._turn.acquire()

    def wait(self) -> None:
        """Until it is told or woken."""
        self._turn.acquire()

    def wake(self) -> None:
        """Let the thread go on."""
        self._turn.release()

    def tell(self, answer: Answer | NotiError) -> None:
        """Give the answer, and let the thread go on."""
        self.answer = answer
        self.wake()
