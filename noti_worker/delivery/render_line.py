"""The threads that wait for one render process: they take turns by tenant, and share its trips."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

from noti_worker.delivery.render_pace import Pace
from noti_worker.delivery.render_process import Answer, Ended, Process, RendererAway, Request
from noti_worker.domain.errors import BadNotification, NotiError
from noti_worker.domain.facts import RendererKilled
from noti_worker.domain.ports import Observer

_MOST_TOGETHER = 32  # rows on one trip, and
_LARGEST_TRIP = 1024 * 1024  # bytes, unless one row alone has more


class Line:
    """One render process, which starts with the first request, and the queue in front of it.

    Threads that come while a trip to the process is under way share the next one, on which the first of them takes
    others along: one row of each tenant in turn. A trip that takes long ends early, and the rest has the next turn.
    `refuse` says, when a request is about to go, why it must not.
    """

    def __init__(
        self, observer: Observer, timeout: float, pace: Pace, refuse: Callable[[Request], NotiError | None]
    ) -> None:
        self._observer = observer
        self._timeout = timeout
        self._pace = pace
        self._refuse = refuse
        self._child: Process | None = None
        self._talking = threading.Lock()  # of whoever talks to the child
        self._lock = threading.Lock()  # of the two below
        self._turns: OrderedDict[str, deque[_Job]] = OrderedDict()  # by tenant; who is first has the next turn
        self._under_way = False

    def ask(self, request: Request) -> Answer:
        """Wait for the turn of the request and have it answered.

        Raises BadNotification when the template took the process down, RendererAway when there is none, and what
        `refuse` gives.
        """
        job = _Job(request)
        with self._lock:
            self._turns.setdefault(request.tenant_id, deque()).append(job)
            somebody, self._under_way = self._under_way, True
        if somebody:
            job.wait()  # for the answer, or for the turn to go
        if job.answer is None:
            self._go()
        if isinstance(job.answer, NotiError):
            raise job.answer
        assert job.answer is not None
        return job.answer

    def close(self) -> None:
        """End the child."""
        with self._talking:
            self._end()

    def __len__(self) -> int:
        """How many requests wait for a trip."""
        return sum(len(jobs) for jobs in self._turns.values())

    def _go(self) -> None:
        """Make one trip for those whose turn it is, and let the next one go."""
        with self._lock:
            jobs = self._next()
        left: Sequence[_Job] = ()
        try:
            if jobs:
                with self._talking:
                    left = self._have_answered(jobs)
        finally:
            waiting = {id(job) for job in left}
            for job in jobs:
                if job.answer is None and id(job) not in waiting:
                    # A bug, or the interpreter ends: nobody must wait for ever.
                    job.tell(RendererAway("the render process was not asked"))
            with self._lock:
                self._put_back(left)
                self._under_way = bool(self._turns)
                if self._turns:
                    next(iter(self._turns.values()))[0].wake()

    def _next(self) -> list["_Job"]:
        """The requests of the next trip; those that must not go are told."""
        jobs: list[_Job] = []
        size = 0
        while self._turns and len(jobs) < _MOST_TOGETHER:
            tenant_id, queue = next(iter(self._turns.items()))
            size += queue[0].request.size
            if jobs and size > _LARGEST_TRIP:
                break
            job = queue.popleft()
            if queue:
                self._turns.move_to_end(tenant_id)
            else:
                del self._turns[tenant_id]
            if (refusal := self._refuse(job.request)) is not None:
                job.tell(refusal)
            else:
                jobs.append(job)
        return jobs

    def _put_back(self, jobs: Sequence["_Job"]) -> None:
        for job in reversed(jobs):
            self._turns.setdefault(job.request.tenant_id, deque()).appendleft(job)
            self._turns.move_to_end(job.request.tenant_id, last=False)

    def _have_answered(self, jobs: Sequence["_Job"]) -> Sequence["_Job"]:
        """Give the jobs their answers; returns those that had none yet. A child that ends harms the one it was at."""
        left = deque(jobs)
        try:
            for answer in self._running().ask([job.request for job in left]):
                self._tell(left.popleft(), answer)
        except Ended as ended:
            suspect = left.popleft()
            self._bury(suspect, ended)
            self._tell(suspect, self._judge(suspect, ended))
        except RendererAway as away:
            while left:
                left.popleft().tell(RendererAway(str(away)))
        return left

    def _tell(self, job: "_Job", answer: Answer | NotiError) -> None:
        if isinstance(answer, Answer):
            self._pace.took(job.request, answer.seconds)
        job.tell(answer)

    def _judge(self, job: "_Job", ended: Ended) -> Answer | NotiError:
        """The answer to the job under which the child ended."""
        if ended.guilty:
            return self._guilty(job, ended)
        # Killed from outside, or full of other templates: the fresh child decides.
        try:
            (answer,) = self._running().ask([job.request])
        except Ended as second:
            self._bury(job, second)
            if second.innocent:
                return RendererAway(f"the render process {second}")
            return self._guilty(job, second)
        except RendererAway as away:
            return away
        return answer

    def _guilty(self, job: "_Job", ended: Ended) -> BadNotification:
        self._pace.killed(job.request, str(ended), self._timeout)
        return BadNotification(f"template {job.request.template.template_id!r} {ended}")

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
