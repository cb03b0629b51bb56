"""The dispatcher's side of the protocol as a state machine: messages and time in, messages out.

It has no socket, no thread and no clock, so that a simulator can drive it through any schedule of
loss, delay, duplication, crash and restart. `elm.dispatch.router` is the shell around it, and
`elm.dispatch.ledger` keeps its tasks. (Credits and heartbeats after the Paranoid Pirate pattern of
the ZeroMQ guide.)

A result under a lease that has ended is dropped, even where it is the first to arrive: a worker
that was silent for so long may have judged a program by a clock that stood still.

No worker can stop a run. Whatever a worker says is held against what it may say; one that sends
what no sandbox sends, or keeps a task for longer than the limits allow, is sent away, and nobody
blames the programs for it.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from elm.dispatch.ledger import Lease, Ledger
from elm.dispatch.quota import Quota, one_line
from elm.dispatch.reading import LEVELS, read_result
from sandbox.protocol import (
    PROTOCOL_VERSION,
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
    Task,
    Want,
    Welcome,
    WorkerState,
)

NO_SANDBOX_AFTER = 3.0  # seconds without any sandbox before a person is told
MOST_FAULTS = 3  # things that no sandbox does, before a worker is sent away
MOST_FRUITLESS = 3  # times that it has lost what it was given, without a result in between
MOST_WORKERS = 1000
MOST_SLOTS = 4096  # of one worker
MOST_HELD = 100_000  # leases and processes that one beat may name
_STALLED = 3  # times the longest execution: others may use the node as well


@dataclass
class _Worker:
    """What is known of one worker."""

    name: str
    session: int
    peer: bytes
    node: str  # its name within the run: no two workers that are known share one
    pid: int
    heard: float
    next_pulse: float
    seq: int = 0
    state: WorkerState = WorkerState.LOADING
    detail: str = ""
    level: str = ""
    slots: int = 0
    wanted: int = 0
    most: int = 0
    target: int | None = None  # slots that the run asks of it; None leaves it to the worker
    load: float = 0.0
    cores: int = 1
    credit: int = 0
    pids: dict[str, int] = field(default_factory=dict)
    quarantine: bool = False  # takes suspects only, one at a time
    next_parcel: float = 0.0  # before that the bundle is not sent to it again
    faults: int = 0
    fruitless: int = 0


class Broker:
    """Distributes tasks among workers and brings each of them home exactly once.

    Args:
        run: name of this life of the dispatcher; leases of another one are void.
        bundle: what all tasks are executed with.
        max_tries: losses after which a task counts as poison.
        heartbeat: seconds between two beats.
        patience: seconds of silence after which a worker counts as lost.
        least_level: the weakest jail whose results count; "" takes any.

    Attributes:
        notices: what a person may want to know, one line each.
        absent: says why no sandbox comes, as far as the shell knows; for a notice.

    The shell calls `receive` for each message, `vanished` when it knows that a worker is dead, and
    then `step`, at least every `heartbeat / 2` seconds; it sends what `step` returns, and collects
    with `collect` and from `notices`.
    """

    def __init__(
        self,
        run: str,
        bundle: Bundle,
        *,
        max_tries: int = 3,
        heartbeat: float = 1.0,
        patience: float = 10.0,
        least_level: str = "",
    ) -> None:
        self.run, self.bundle, self.digest = run, bundle, bundle.digest
        self.heartbeat, self.patience = heartbeat, patience
        self.ledger = Ledger(max_tries)
        self.counts = self.ledger.counts
        self.notices: list[str] = []
        self.absent: Callable[[], str] = str
        self.level = ""
        limits = bundle.limits.wall_seconds + bundle.judge_limits.wall_seconds
        self._longest = _STALLED * limits + patience
        self._least_level = least_level
        self._workers: dict[str, _Worker] = {}
        self._peers: dict[bytes, str] = {}
        self._outbox: list[tuple[bytes, FromDispatcher]] = []
        self._idle_since: float | None = None
        self._told_idle = False
        self._barred: dict[str, None] = {}  # workers that were sent away, oldest first
        self._quota = Quota()
        self._now = self._stepped = 0.0

    # From and to the pipeline -----------------------------------------------------------------

    def submit(self, tasks: Sequence[Task]) -> None:
        """Queues tasks.

        Raises:
            ValueError: if a candidate is open already, or a task is meant for another bundle.
        """
        for task in tasks:
            if task.bundle != self.digest:
                raise ValueError(
                    f"candidate {task.candidate} is for bundle {task.bundle[:12]}, but this fleet "
                    f"was started with {self.digest[:12]}"
                )
            self.ledger.add(task)

    def collect(self) -> list[Evaluation]:
        """Final results since the last call."""
        finished, self.ledger.finished = self.ledger.finished, []
        return finished

    def acknowledge(self, candidates: Iterable[int]) -> None:
        """Forgets delivered tasks, and lets their workers forget them."""
        safe: dict[str, list[int]] = {}
        for candidate in candidates:
            lease = self.ledger.acknowledge(candidate)
            if lease is not None:
                safe.setdefault(lease.worker, []).append(lease.number)
        for name, numbers in safe.items():
            worker = self._workers.get(name)
            if worker is not None:
                self._send(worker.peer, Ack(self.run, tuple(numbers)))

    # From the network -------------------------------------------------------------------------

    def receive(self, peer: bytes, message: FromWorker, now: float) -> None:
        """Takes one message of a worker."""
        self._now = now
        if isinstance(message, Hello):
            self._greet(peer, message, now)
            return
        worker = self._workers.get(self._peers.get(peer, ""))
        if worker is None:
            self.counts["strangers"] += 1
            if not isinstance(message, Bye):
                self._send(peer, Introduce())
            return
        worker.heard = now
        match message:
            case Want():
                if message.bundle == self.digest and now >= worker.next_parcel:
                    worker.next_parcel = now + self.heartbeat / 2
                    self.counts["parcels"] += 1
                    self._send(peer, Parcel(self.bundle))
            case Beat():
                self._update(worker, message, now)
            case Result():
                self._result(worker, message)
            case Notice():
                self._tell_of(worker, f": {message.text}")
            case Bye():
                self._dismiss(worker, message.reason)

    def garbled(self, peer: bytes, now: float) -> None:
        """Says that a frame was no message."""
        self._now = now
        worker = self._workers.get(self._peers.get(peer, ""))
        if worker is not None:
            self._fault(worker, "it sends frames that are no messages")

    def tell(self, line: str, source: str = "") -> None:
        """Puts a line among the notices, unless its source has said too much already."""
        admitted = self._quota.admit(line, source, self._now)
        if admitted is not None:
            self.notices.append(admitted)

    def vanished(self, name: str, reason: str) -> None:
        """Says that a worker is certainly gone."""
        worker = self._workers.get(name)
        if worker is not None:
            self._lose(worker, reason, certain=True)

    def drain(self, name: str) -> None:
        """Asks a worker to finish what it executes, give back the rest, and go."""
        worker = self._workers.get(name)
        if worker is not None:
            self._send(worker.peer, Drain())

    def resize(self, name: str, slots: int) -> None:
        """Asks a worker to have so many slots; said again until its beat agrees."""
        worker = self._workers.get(name)
        if worker is not None:
            worker.target = max(1, min(slots, worker.most))
            if worker.target != worker.wanted:
                self._send(worker.peer, Resize(worker.target))

    def step(self, now: float) -> list[tuple[bytes, FromDispatcher]]:
        """Ends what has waited too long, hands out tasks; returns what is to be sent, to whom."""
        if now - self._stepped > self.patience:
            self.ledger.restart_clocks(now)  # this process was stopped, and nobody's result came
        self._now = self._stepped = now
        for worker in list(self._workers.values()):
            if now - worker.heard > self.patience:
                self._lose(worker, f"silent for {self.patience:g} s", certain=False)
            elif now >= worker.next_pulse:
                worker.next_pulse = now + self.heartbeat
                self._send(worker.peer, Pulse(self.run))
                self._watch_leases(worker, now)
        self._assign(now)
        self._watch_idle(now)
        outbox, self._outbox = self._outbox, []
        return outbox

    # What can be seen of it -------------------------------------------------------------------

    @property
    def slots(self) -> int:
        """How many tasks can run at one time right now."""
        return sum(worker.slots for worker in self._ready())

    @property
    def peers(self) -> list[bytes]:
        """Addresses of all workers."""
        return list(self._peers)

    def knows(self, name: str) -> bool:
        """Whether a worker of this name belongs to the fleet."""
        return name in self._workers

    def worker_of(self, node: str) -> str | None:
        """The worker of a node, by the node's name within the run."""
        return next((w.name for w in self._workers.values() if w.node == node), None)

    @property
    def ready(self) -> int:
        """How many workers take tasks right now."""
        return len(self._ready())

    @property
    def whole(self) -> bool:
        """Whether these have all the slots that they try to have."""
        return all(worker.slots >= worker.wanted for worker in self._ready())

    @property
    def open(self) -> int:
        """Tasks that are not acknowledged."""
        return len(self.ledger)

    @property
    def refusal(self) -> str | None:
        """Why no worker can start its slots; None while one can, or has not said so."""
        workers = list(self._workers.values())
        if workers and all(worker.state is WorkerState.FAILED for worker in workers):
            return workers[0].detail or "no slot started"
        return None

    def status(self, now: float) -> dict[str, Any]:
        """Plain data about workers, queue and counters."""
        return {
            **self.ledger.census(),
            "counts": dict(self.counts),
            "workers": [
                {
                    "worker": worker.name,
                    "node": worker.node,
                    "pid": worker.pid,
                    "state": str(worker.state),
                    "detail": worker.detail,
                    "level": worker.level,
                    "slots": worker.slots,
                    "wanted": worker.wanted,
                    "most": worker.most,
                    "load": worker.load,
                    "cores": worker.cores,
                    "credit": worker.credit,
                    "leases": self.ledger.load(worker.name),
                    "silent": now - worker.heard,
                    "pids": worker.pids,
                }
                for worker in self._workers.values()
            ],
        }

    # Inside: workers --------------------------------------------------------------------------

    def _ready(self) -> list[_Worker]:
        return [
            w
            for w in self._workers.values()
            if w.state is WorkerState.READY and w.slots and w.level >= self._least_level
        ]

    def _greet(self, peer: bytes, hello: Hello, now: float) -> None:
        refusal = self._refusal_of(hello)
        if refusal:
            self._send(peer, Bye(refusal))
            return
        worker = self._workers.get(hello.worker)
        if worker is None:
            node = self._name(one_line(hello.node, 64) or "?", now)
            worker = _Worker(
                hello.worker, hello.session, peer, node, hello.pid, now, now + self.heartbeat
            )
            self._workers[hello.worker] = worker
        elif hello.session < worker.session:
            return  # sent over a connection that the worker has given up since
        before = self._workers.get(self._peers.get(peer, ""))
        if before is not None and before is not worker:
            self._lose(before, "another worker took its connection", certain=False)
        self._peers.pop(worker.peer, None)
        worker.peer, worker.session, worker.heard = peer, hello.session, now
        self._peers[peer] = worker.name
        self._welcome(worker)

    def _refusal_of(self, hello: Hello) -> str:
        """Why a worker cannot belong to this run, "" where it can."""
        node = one_line(hello.node, 64)
        if hello.protocol != PROTOCOL_VERSION:
            reason = (
                f"sandbox {node} speaks protocol {hello.protocol}, this run "
                f"{PROTOCOL_VERSION}: install the same version on both sides"
            )
        elif hello.worker in self._barred:
            return "this worker was sent away; start another"
        elif hello.worker in self._workers or len(self._workers) < MOST_WORKERS:
            return ""
        else:
            reason = f"sandbox {node} is one too many: a run takes {MOST_WORKERS}"
        self.tell(reason, f"sandbox {node}")
        return reason

    def _name(self, node: str, now: float) -> str:
        """The name that a node gives itself, or a variant where another one has it already."""
        taken = {worker.node: worker for worker in self._workers.values()}
        if node in taken and now - taken[node].heard > 2 * self.heartbeat:
            # A server that was started anew: why wait until the silence of its old worker is long?
            self._lose(taken.pop(node), "another worker of its node has come", certain=False)
        if node not in taken:
            return node
        name = next(name for n in itertools.count(2) if (name := f"{node}#{n}") not in taken)
        self.tell(
            f"two sandboxes call themselves {node!r}; one of them is {name!r} here: start it with "
            "a --node of its own",
            f"sandbox {node}",
        )
        return name

    def _welcome(self, worker: _Worker) -> None:
        self._send(worker.peer, Welcome(self.run, self.digest, self.heartbeat, self.patience))

    def _update(self, worker: _Worker, beat: Beat, now: float) -> None:
        if beat.run != self.run:
            self._welcome(worker)
            return
        if beat.seq <= worker.seq:
            return
        if max(len(beat.holding), len(beat.pids)) > MOST_HELD:
            self._fault(worker, f"it says that it holds {len(beat.holding)} tasks")
            return
        was = worker.state
        worker.seq, worker.state = beat.seq, beat.state
        worker.detail = one_line(beat.detail, 300)
        worker.level = beat.level if beat.level in LEVELS else ""
        worker.slots = max(0, min(beat.slots, MOST_SLOTS))
        worker.credit = max(0, beat.credit)
        worker.wanted, worker.most = beat.wanted, beat.most
        worker.load, worker.cores, worker.pids = beat.load, beat.cores, beat.pids
        if worker.target is not None and worker.target != worker.wanted:
            self._send(worker.peer, Resize(worker.target))  # it, or its answer, was lost
        if worker.state is WorkerState.READY and worker.level < self._least_level:
            if was is not WorkerState.READY:
                self._tell_of(
                    worker,
                    f" offers level {worker.level or '?'}, but this run takes "
                    f"{self._least_level} and above: it is given nothing",
                )
        elif worker.state is WorkerState.READY:
            if was is not WorkerState.READY and self.level:  # the first of a run is no news
                self._tell_of(worker, f" is up, level {worker.level}")
            self.level = min((w.level for w in self._ready()), default=self.level)
        elif worker.state is WorkerState.FAILED and was is not WorkerState.FAILED:
            self._tell_of(worker, f" cannot start: {worker.detail}")
        self._compare(worker, beat.holding, now)

    def _compare(self, worker: _Worker, holding: Sequence[int], now: float) -> None:
        """Holds what a worker says it has against the ledger."""
        void = []
        for number in holding:
            lease = self.ledger.find(number, worker.name)
            if lease is None:
                void.append(number)
            else:
                lease.held = True
        if void:
            self._send(worker.peer, Ack(self.run, tuple(void)))
        # What it does not hold was lost on its way, or is still under way.
        lost = 0
        for number in self.ledger.unfinished(worker.name).difference(holding):
            lease = self.ledger.find(number, worker.name)
            if lease is not None and now - lease.since > self.patience:
                lost += 1
                self.ledger.end(lease)
        if lost:
            self.counts["undelivered"] += lost
            worker.fruitless += 1
            if worker.fruitless >= MOST_FRUITLESS:
                self._send_away(worker, "it has taken tasks again and again, and does none")

    def _watch_leases(self, worker: _Worker, now: float) -> None:
        """Sends a worker away that keeps a task for longer than any execution may take."""
        slots = max(1, worker.slots)
        if self.ledger.overdue(worker.name, slots, now, self._longest) is not None:
            reason = f"it has kept a program for {self._longest:g} s, more than its limits allow"
            self._send(worker.peer, Bye(reason))
            self._bar(worker)
            self._lose(worker, reason, certain=False)

    def _fault(self, worker: _Worker, what: str) -> None:
        """Counts something that no sandbox does; after a few the worker has to go."""
        self.counts["faults"] += 1
        worker.faults += 1
        if worker.faults >= MOST_FAULTS:
            self._send_away(worker, what)

    def _send_away(self, worker: _Worker, why: str) -> None:
        """Ends its part in the run; the programs that it had are not to blame."""
        self._tell_of(worker, f" is sent away: {why}")
        self._send(worker.peer, Bye(why))
        self._bar(worker)
        self.ledger.release(worker.name)
        self._forget(worker)

    def _bar(self, worker: _Worker) -> None:
        self._barred[worker.name] = None
        if len(self._barred) > MOST_WORKERS:
            del self._barred[next(iter(self._barred))]

    def _lose(self, worker: _Worker, reason: str, *, certain: bool) -> None:
        self.counts["workers_lost"] += 1
        count = self.ledger.load(worker.name)
        again = f"; {count} tasks queued again" if count else ""
        self._tell_of(worker, f" lost ({reason}){again}")
        self.ledger.worker_lost(worker.name, reason, certain=certain)
        self._forget(worker)

    def _dismiss(self, worker: _Worker, reason: str) -> None:
        self._tell_of(worker, f" left: {reason}")
        self.ledger.release(worker.name)
        self._forget(worker)

    def _forget(self, worker: _Worker) -> None:
        del self._workers[worker.name]
        if self._peers.get(worker.peer) == worker.name:
            del self._peers[worker.peer]

    def _tell_of(self, worker: _Worker, text: str) -> None:
        self.tell(f"sandbox {worker.node}{text}", f"sandbox {worker.node}")

    def _watch_idle(self, now: float) -> None:
        if self._ready() or self.ledger.all_delivered:
            if self._told_idle:
                self.tell("a sandbox is up again")
            self._idle_since, self._told_idle = None, False
            return
        if self._idle_since is None:
            self._idle_since = now
        if now - self._idle_since >= NO_SANDBOX_AFTER and not self._told_idle:
            self._told_idle = True
            reasons = [worker.detail for worker in self._workers.values() if worker.detail]
            reason = reasons[0] if reasons else self.absent() or "none has reported"
            self.tell(f"no sandbox is up: {reason}; the run waits for one")

    # Inside: tasks ----------------------------------------------------------------------------

    def _result(self, worker: _Worker, result: Result) -> None:
        mine = result.run == self.run
        lease = self.ledger.find(result.lease, worker.name) if mine else None
        if lease is None:
            # Of an older run, or of a lease that has ended: drop it, and let the worker forget.
            self.counts["stale"] += 1
            self._send(worker.peer, Ack(result.run, (result.lease,)))
            return
        if lease.item.delivered:
            self.counts["duplicates"] += 1  # acknowledged when the pipeline says so
            return
        self.counts["results"] += 1
        try:
            evaluation = read_result(result, lease.item.task.candidate, self._least_level)
            evaluation = msgspec.structs.replace(evaluation, node=worker.node)
        except ValueError as error:
            self.counts["malformed"] += 1
            self._send(worker.peer, Ack(self.run, (result.lease,)))
            self.ledger.end(lease)
            self._fault(worker, f"its result for candidate {lease.item.task.candidate} {error}")
            return
        worker.fruitless = 0
        if evaluation.status.is_final:
            self.ledger.deliver(lease, evaluation)
            return
        self.ledger.slot_lost(lease, evaluation.detail, blame=result.blame)
        self._send(worker.peer, Ack(self.run, (result.lease,)))

    def _assign(self, now: float) -> None:
        ready = self._ready()
        if self.ledger.suspected:
            self._try_suspect(ready, now)
        else:
            for worker in ready:
                worker.quarantine = worker.quarantine and self.ledger.load(worker.name) > 0
        if not self.ledger.queued:
            return
        # The worker with the least to do for its slots comes first.
        idle: list[tuple[float, str]] = []
        for worker in ready:
            self._offer(worker, idle)
        while self.ledger.queued and idle:
            worker = self._workers[heapq.heappop(idle)[1]]
            self._give(worker, self.ledger.lease(worker.name, now))
            self._offer(worker, idle)

    def _offer(self, worker: _Worker, idle: list[tuple[float, str]]) -> None:
        load = self.ledger.load(worker.name)
        if load < worker.credit and not worker.quarantine:
            heapq.heappush(idle, (load / worker.slots, worker.name))

    def _try_suspect(self, ready: list[_Worker], now: float) -> None:
        """Executes the first suspect on a worker that has nothing else, or empties one for it."""
        if not ready:
            return
        chosen = next((worker for worker in ready if worker.quarantine), None)
        if chosen is None:
            chosen = min(ready, key=lambda worker: (self.ledger.load(worker.name), worker.name))
            chosen.quarantine = True
        if not self.ledger.load(chosen.name):
            self._give(chosen, self.ledger.lease(chosen.name, now, suspect=True))

    def _give(self, worker: _Worker, lease: Lease) -> None:
        self._send(worker.peer, Assign(self.run, lease.number, lease.item.task))

    def _send(self, peer: bytes, message: FromDispatcher) -> None:
        self._outbox.append((peer, message))
