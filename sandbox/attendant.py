"""The thread of one slot: starts it, gives it tasks, starts it again.

A slot lives in one thread, which alone starts, uses and closes it: what a parent's death does to a
child is decided per thread.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Protocol

from sandbox.affinity import settle
from sandbox.agent import Job
from sandbox.protocol import Bundle, Evaluation, Status, Task
from sandbox.turnstile import Turnstile

SHORTEST_PAUSE, LONGEST_PAUSE = 0.25, 30.0  # before a slot that did not start is tried again


class SlotLike(Protocol):
    """What is asked of a slot; `sandbox.slot.Slot` is one."""

    @property
    def level(self) -> str: ...
    @property
    def pids(self) -> dict[str, int]: ...
    @property
    def blameless(self) -> bool: ...  # the last program was lost, and surely not by its own doing
    def start(self) -> None: ...
    def evaluate(self, task: Task) -> Evaluation: ...
    def close(self) -> None: ...


class Employer(Protocol):
    """Who has tasks for slots: `sandbox.agent.Agent` for a run, `sandbox.desk.Counter` for HTTP."""

    @property
    def bundle(self) -> Bundle | None: ...
    @property
    def wanted(self) -> int: ...
    def take(self, index: int) -> Job | None: ...
    def slot_up(self, index: int, bundle: str, level: str, pids: dict[str, int]) -> None: ...
    def slot_down(self, index: int, bundle: str, reason: str) -> None: ...
    def slot_closed(self, index: int) -> None: ...
    def finish(self, job: Job, evaluation: Evaluation, *, blame: bool = True) -> None: ...
    def notice(self, text: str) -> None: ...


MakeSlot = Callable[[Bundle, int], SlotLike]


class Attendant(threading.Thread):
    """Serves one slot until `stopping` is set.

    Args:
        index: of the slot.
        agent: who has the tasks; touched under `changed` only.
        changed: notified whenever the agent may have something for a slot.
        stopping: set when the worker ends.
        make_slot: from a bundle and an index; `start` has not been called yet.
        turnstile: passed while a program executes.
        wake: tells the agent's own thread, if there is one, to look at it.
    """

    def __init__(
        self,
        index: int,
        agent: Employer,
        changed: threading.Condition,
        stopping: threading.Event,
        make_slot: MakeSlot,
        turnstile: Turnstile,
        wake: Callable[[], None],
    ) -> None:
        super().__init__(name=f"slot-{index}", daemon=True)
        self._index, self._agent, self._changed = index, agent, changed
        self._stopping, self._make_slot, self._wake = stopping, make_slot, wake
        self._turnstile = turnstile
        self._slot: SlotLike | None = None
        self._settled: tuple[int, dict[str, int]] | None = None
        self._bundle: Bundle | None = None  # what the slot was last started with

    def run(self) -> None:
        """Life of the slot."""
        pause = SHORTEST_PAUSE
        while not self._stopping.is_set():
            bundle, job = self._next()
            if bundle is None and job is None:
                if not self._stopping.is_set():
                    self._leave()
            elif job is not None:
                if not self._execute(job):
                    self._close()
            elif bundle is not None:
                self._close()
                self._bundle = bundle
                if self._start(bundle):
                    pause = SHORTEST_PAUSE
                else:
                    self._stopping.wait(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
        self._close()

    def kill(self) -> None:
        """Ends the processes of a slot that does not come to its end. From another thread."""
        slot = self._slot
        for pid in slot.pids.values() if slot is not None else ():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it has just ended by itself

    def _next(self) -> tuple[Bundle | None, Job | None]:
        """Waits for a task, or for a bundle that the slot is to be started with.

        Neither where the slot is to close, since it is no longer wanted or all is over.
        """
        with self._changed:
            while not self._stopping.is_set():
                if self._index >= self._agent.wanted:
                    if self._slot is not None:
                        return None, None
                    self._changed.wait()
                    continue
                wanted = self._agent.bundle
                if wanted is not None and (self._slot is None or wanted is not self._bundle):
                    return wanted, None
                job = self._agent.take(self._index)
                if job is not None:
                    return None, job
                self._changed.wait()
        return None, None

    def _start(self, bundle: Bundle) -> bool:
        digest = bundle.digest
        try:
            slot = self._make_slot(bundle, self._index)
            slot.start()
        except Exception as error:  # whatever it is, the run is told and the slot tried again
            with self._changed:
                self._agent.slot_down(self._index, digest, _reason(error))
            self._wake()
            return False
        self._slot = slot
        with self._changed:
            self._agent.slot_up(self._index, digest, slot.level, dict(slot.pids))
        self._wake()
        return True

    def _leave(self) -> None:
        """Closes a slot that is not wanted at present."""
        self._close()
        with self._changed:
            self._agent.slot_closed(self._index)
        self._wake()

    def _execute(self, job: Job) -> bool:
        """Evaluates one task; False if the slot has to be replaced."""
        slot, index = self._slot, self._index
        assert slot is not None
        before = dict(slot.pids)
        failure, innocent = "", False
        try:
            place = self._turnstile.enter()
            try:
                self._settle(slot, place)
                evaluation = slot.evaluate(job.task)
            finally:
                self._turnstile.leave(place)
            if evaluation.status is Status.LOST:
                innocent = slot.blameless
                if not self._stopping.is_set():
                    slot.start()  # what is missing; where that fails, the program is not to blame
        except Exception as error:  # a defect of the slot, which it could not even call `lost`
            failure = _reason(error)
            evaluation = Evaluation(
                candidate=job.task.candidate, status=Status.LOST, detail=failure
            )
        after = dict(slot.pids)
        with self._changed:
            if failure:
                self._agent.slot_down(index, job.task.bundle, failure)
                self._agent.notice(f"slot {index} is down: {failure}")
            elif after != before:
                self._agent.slot_up(index, job.task.bundle, slot.level, after)
            if evaluation.status is Status.LOST and not failure:
                self._agent.notice(f"slot {index} lost a program: {evaluation.detail}")
            elif any(before.get(role, pid) != pid for role, pid in after.items()):
                self._agent.notice(f"slot {index} restarted")
            self._agent.finish(job, evaluation, blame=not (failure or innocent))
        self._wake()
        return not failure

    def _settle(self, slot: SlotLike, place: int) -> None:
        settled = (place, slot.pids)
        if settled != self._settled and not (self._bundle and self._bundle.limits.processes):
            settle(slot.pids.values(), place)
            self._settled = settled

    def _close(self) -> None:
        slot, self._slot = self._slot, None
        if slot is not None:
            slot.close()


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
