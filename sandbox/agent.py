"""A worker's side of the protocol as a state machine: messages and time in, messages out.

It has no socket, no thread and no clock, so that a simulator can drive it. `sandbox.worker` is the
shell around it. An agent belongs to one run at a time; what it holds of another run is void.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.protocol import (
    MAX_MESSAGE_BYTES,
    Ack,
    Assign,
    Beat,
    Bundle,
    Bye,
    Drain,
    Evaluation,
    FromDispatcher,
    FromWorker,
    Hello,
    Introduce,
    Notice,
    Parcel,
    Pulse,
    Resize,
    Result,
    Status,
    Task,
    Want,
    Welcome,
    WorkerState,
    encode,
)
from sandbox.shelf import Shelf

FIRST_HEARTBEAT = 0.5  # seconds, before a welcome has said what the run wants
FIRST_PATIENCE = 10.0
LONGEST_PAUSE = 30.0  # seconds between two sendings of the same result


def _line(text: str) -> str:
    """Text of any origin as one short line that can be sent."""
    return " ".join(text.encode("utf-8", "replace").decode().split())[:300]


@dataclass(frozen=True)
class Job:
    """One task under one lease of one run."""

    run: str
    lease: int
    task: Task


@dataclass
class _Seat:
    """What is known of one slot: up with a bundle, or down for a reason."""

    bundle: str = ""  # digest of the bundle that it is up with, or failed to come up with
    level: str = ""  # "" while it is down
    reason: str = ""
    pids: dict[str, int] = field(default_factory=dict)


@dataclass
class _Held:
    """A result that is not acknowledged yet."""

    result: Result
    due: float | None  # when to send it again; None: just sent
    pause: float


class Agent:
    """Holds tasks for slots, results for the dispatcher, and says so in every beat.

    Args:
        worker: name of this life of the process; a restarted worker takes another.
        node: where it runs.
        slots: number of slots to begin with.
        pid: of the process, for the run that may have to kill it.
        prefetch: tasks held beyond those that run, so that no slot waits for the network.
        most: slots that a run may ask for; as many as at the beginning by default.
        shelf: bundles that this node has, so that each is sent to it once.

    The shell calls `receive` for each message, `take` and `finish` for its slots, `slot_up` and
    `slot_down` when those change, and `step` at least every `pause` seconds; it sends what
    `step` returns. Where `reconnect` is true it first opens a new connection.
    """

    def __init__(
        self,
        worker: str,
        node: str,
        slots: int,
        *,
        pid: int,
        prefetch: int,
        most: int | None = None,
        shelf: Shelf | None = None,
    ) -> None:
        self.worker, self.node, self.pid, self.prefetch = worker, node, pid, prefetch
        self.wanted = slots  # slots that the shell is to have; those from this index on close
        self.most = slots if most is None else most
        self.load, self.cores = 0.0, 1  # of the node, as the shell measures them
        self.contact: float | None = None  # when the dispatcher was last heard
        self.bundle: Bundle | None = None  # what the slots should be up with
        self.reconnect = False
        self.draining = False
        self.drained = False  # nothing is left to do: the shell stops
        self.dismissed = False  # told to go: the shell stops, whatever still runs
        self.session = 1
        self._shelf = Shelf() if shelf is None else shelf
        self._seats = [_Seat() for _ in range(slots)]
        self._waiting: dict[int, Job] = {}  # oldest lease first
        self._running: dict[int, Job] = {}
        self._results: dict[int, _Held] = {}
        self._outbox: list[FromWorker] = []
        self._run = ""
        self._digest = ""
        self._welcomed = False
        self._heartbeat, self._patience = FIRST_HEARTBEAT, FIRST_PATIENCE
        self._seq = 0
        self._heard = 0.0
        self._next_beat = 0.0
        self._changed = True

    @property
    def pause(self) -> float:
        """Seconds until the next `step` at the latest."""
        return self._heartbeat / 2

    @property
    def state(self) -> WorkerState:
        """What the next beat says."""
        if self.draining:
            return WorkerState.DRAINING
        mine = [seat for seat in self._wanted_seats if seat.bundle == self._digest and self._digest]
        if any(seat.level for seat in mine):
            return WorkerState.READY
        if len(mine) == self.wanted:
            return WorkerState.FAILED
        return WorkerState.LOADING

    @property
    def run(self) -> str:
        """The run that it works for; "" before the first welcome."""
        return self._run

    @property
    def busy(self) -> int:
        """Tasks that are executed now."""
        return len(self._running)

    @property
    def _wanted_seats(self) -> list[_Seat]:
        return self._seats[: self.wanted]

    # From the shell's slots -------------------------------------------------------------------

    def slot_up(self, index: int, bundle: str, level: str, pids: dict[str, int]) -> None:
        """Says that a slot takes tasks of this bundle."""
        seat = _Seat(bundle, level, "", dict(pids))
        self._changed |= seat != self._seats[index]
        self._seats[index] = seat

    def slot_down(self, index: int, bundle: str, reason: str) -> None:
        """Says that a slot could not be started; tasks that no slot can take go back."""
        self._seats[index] = _Seat(bundle, "", _line(reason))
        self._changed = True
        if self.state is WorkerState.FAILED:
            self._give_back(reason)

    def slot_closed(self, index: int) -> None:
        """Says that a slot which is no longer wanted has ended."""
        self._seats[index] = _Seat()
        self._changed = True

    def take(self, index: int) -> Job | None:
        """The next task for a slot that is up, oldest lease first; None if there is none."""
        seat = self._seats[index]
        if not self._waiting or index >= self.wanted:
            return None
        if not seat.level or seat.bundle != self._digest:
            return None
        job = self._waiting.pop(next(iter(self._waiting)))
        self._running[job.lease] = job
        return job

    def finish(self, job: Job, evaluation: Evaluation, *, blame: bool = True) -> None:
        """Takes the result of a job, unless its run is over."""
        if self._running.get(job.lease) is job:
            del self._running[job.lease]
            self._keep(job, evaluation, blame)

    def notice(self, text: str) -> None:
        """Tells the run something, in one line."""
        if self._welcomed:
            self._outbox.append(Notice(_line(text)))

    def resize(self, slots: int) -> None:
        """Wants so many slots from now on, within 1 and `most`."""
        slots = max(1, min(slots, self.most))
        self._changed |= slots != self.wanted
        self.wanted = slots
        self._seats += [_Seat() for _ in range(slots - len(self._seats))]
        if self.state is WorkerState.FAILED:
            self._give_back("its slots are closed")

    def drain(self) -> None:
        """Finishes what runs, gives back what waits, takes nothing new."""
        if not self.draining:
            self.draining = self._changed = True
            self._give_back("worker is draining")

    # From the network -------------------------------------------------------------------------

    def receive(self, message: FromDispatcher, now: float) -> None:
        """Takes one message of the dispatcher."""
        self._heard = self.contact = now
        match message:
            case Welcome():
                self._join(message)
            case Introduce():
                if self._welcomed:
                    self._welcomed = False
                    self._next_beat = now
            case Parcel():
                if message.bundle.digest == self._digest and self.bundle is None:
                    self._shelf.put(message.bundle)
                    self.bundle = message.bundle
                    self._changed = True
            case Assign():
                self._accept(message)
            case Ack():
                if message.run == self._run:
                    for lease in message.leases:
                        self._results.pop(lease, None)
                        self._waiting.pop(lease, None)
            case Resize():
                self.resize(message.slots)
            case Drain():
                self.drain()
            case Bye():
                self.dismissed = True
            case Pulse():
                pass  # it was heard

    def step(self, now: float) -> list[FromWorker]:
        """What is to be sent now."""
        if not self._heard:
            self._heard = now
        if now - self._heard > self._patience:
            self._reconnect(now)
        if self._welcomed:
            if self._changed or now >= self._next_beat:
                self._beat(now)
                self._resend(now)
        elif now >= self._next_beat:
            self._next_beat = now + self._heartbeat
            self._outbox.append(Hello(self.worker, self.session, self.node, self.wanted, self.pid))
        if self.draining and not (self._running or self._results or self._waiting):
            self.drained = True
            self._outbox.append(Bye("drained"))
        outbox, self._outbox = self._outbox, []
        return outbox

    # Inside -----------------------------------------------------------------------------------

    def _join(self, message: Welcome) -> None:
        self._welcomed = self._changed = True
        self._heartbeat, self._patience = message.heartbeat, message.patience
        if message.run != self._run:
            # What was held belongs to a run that is over; a slot that still executes it is
            # recognised in `finish`.
            self._waiting.clear()
            self._running.clear()
            self._results.clear()
            self._run = message.run
        if message.bundle != self._digest:
            self._digest, self.bundle = message.bundle, self._shelf.get(message.bundle)
        for held in self._results.values():
            held.due = 0.0  # it may have been lost with the old connection: send it again now

    def _accept(self, message: Assign) -> None:
        lease = message.lease
        known = lease in self._waiting or lease in self._running or lease in self._results
        if message.run != self._run or known:
            return
        job = Job(message.run, lease, message.task)
        if self.state is not WorkerState.READY or message.task.bundle != self._digest:
            self._return(job, f"worker is {self.state}")
        else:
            self._waiting[lease] = job

    def _keep(self, job: Job, evaluation: Evaluation, blame: bool) -> None:
        result = self._sendable(job, evaluation, blame)
        self._results[job.lease] = _Held(result, None, 2 * self._heartbeat)
        if self._welcomed:
            self._outbox.append(result)

    def _sendable(self, job: Job, evaluation: Evaluation, blame: bool) -> Result:
        try:
            result = Result.pack(job.run, job.lease, evaluation, blame)
            size = len(encode(result))
            if size <= MAX_MESSAGE_BYTES:
                return result
            status = Status.OUTPUT_LIMIT
            reason = f"result of {size} bytes, but a message may have {MAX_MESSAGE_BYTES}"
        except (UnicodeEncodeError, OverflowError, TypeError, RecursionError) as error:
            status, reason = Status.BAD_RESULT, _line(f"result cannot be sent: {error}")
        plain = Evaluation(
            candidate=evaluation.candidate,
            status=status,
            detail=reason,
            cpu_seconds=evaluation.cpu_seconds,
            wall_seconds=evaluation.wall_seconds,
            peak_memory_mb=evaluation.peak_memory_mb,
            level=evaluation.level,
            node=evaluation.node,
        )
        return Result.pack(job.run, job.lease, plain, blame)

    def _return(self, job: Job, reason: str) -> None:
        evaluation = Evaluation(
            candidate=job.task.candidate, status=Status.LOST, detail=reason, node=self.node
        )
        self._keep(job, evaluation, blame=False)

    def _give_back(self, reason: str) -> None:
        waiting, self._waiting = self._waiting, {}
        for job in waiting.values():
            self._return(job, reason)

    def _resend(self, now: float) -> None:
        for held in self._results.values():
            if held.due is None:
                held.due = now + held.pause
            elif now >= held.due:
                self._outbox.append(held.result)
                held.due = now + held.pause
                held.pause = min(2 * held.pause, LONGEST_PAUSE)

    def _beat(self, now: float) -> None:
        if self._digest and self.bundle is None:
            self.bundle = self._shelf.get(self._digest)  # another run of this node may have it now
        if self._digest and self.bundle is None:
            self._outbox.append(Want(self._digest))
        up = [s for s in self._wanted_seats if s.level and s.bundle == self._digest]
        reason = next((seat.reason for seat in self._wanted_seats if seat.reason), "")
        self._seq += 1
        self._outbox.append(
            Beat(
                run=self._run,
                seq=self._seq,
                state=self.state,
                detail=reason,
                level=min((seat.level for seat in up), default=""),
                slots=len(up),
                credit=len(up) + self.prefetch if self.state is WorkerState.READY else 0,
                holding=(
                    *self._waiting,
                    *self._running,
                    *self._results,
                ),
                pids={
                    f"slot{index}.{name}": pid
                    for index, seat in enumerate(self._seats)
                    for name, pid in seat.pids.items()
                },
                wanted=self.wanted,
                most=self.most,
                load=self.load,
                cores=self.cores,
            )
        )
        self._changed = False
        self._next_beat = now + self._heartbeat

    def _reconnect(self, now: float) -> None:
        # The dispatcher is silent: the connection may be dead in a way that no socket notices.
        self.session += 1
        self.reconnect = True
        self._welcomed = False
        self._heard = now
        self._next_beat = now
        self._outbox.clear()
