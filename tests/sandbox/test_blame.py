"""Who is blamed when a slot loses a program: what the attendant tells its employer."""

from __future__ import annotations

import threading

import pytest
from slot_bench import make_bundle

from sandbox.agent import Job
from sandbox.attendant import Attendant
from sandbox.protocol import Evaluation, Status, Task
from sandbox.turnstile import Turnstile


class LosingSlot:
    """Loses everything; `blameless` as it is told."""

    level, pids = "L2", {"zygote": 1}

    def __init__(self, blameless: bool, broken: bool) -> None:
        self.blameless, self.broken = blameless, broken
        self.lost = False

    def start(self) -> None:
        if self.lost and self.broken:
            raise RuntimeError("does not come up again")

    def evaluate(self, task: Task) -> Evaluation:
        self.lost = True
        return Evaluation(candidate=task.candidate, status=Status.LOST, detail="lost")

    def close(self) -> None:
        pass


class OneJob:
    """An employer with one task, which notes what came of it."""

    wanted = 1

    def __init__(self) -> None:
        self.bundle = make_bundle()
        self.jobs = [Job("run", 1, Task(1, self.bundle.digest, {}, 0))]
        self.blame: list[bool] = []
        self.done = threading.Event()

    def take(self, index: int) -> Job | None:
        return self.jobs.pop() if self.jobs else None

    def finish(self, job: Job, evaluation: Evaluation, *, blame: bool = True) -> None:
        self.blame.append(blame)
        self.done.set()

    def slot_up(self, *_: object) -> None: ...
    def slot_down(self, *_: object) -> None: ...
    def slot_closed(self, index: int) -> None: ...
    def notice(self, text: str) -> None: ...


@pytest.mark.parametrize(
    ("blameless", "broken", "blame"),
    [(False, False, True), (True, False, False), (False, True, False)],
)
def test_blame(blameless, broken, blame):
    employer, changed, stopping = OneJob(), threading.Condition(), threading.Event()
    attendant = Attendant(
        0,
        employer,
        changed,
        stopping,
        lambda bundle, index: LosingSlot(blameless, broken),
        Turnstile(1),
        lambda: None,
    )
    attendant.start()
    try:
        assert employer.done.wait(60)
    finally:
        with changed:
            stopping.set()
            changed.notify_all()
        attendant.join()
    assert employer.blame == [blame]
