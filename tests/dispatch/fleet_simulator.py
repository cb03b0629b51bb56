"""Drives brokers and agents through a random schedule, with neither sockets nor clocks.

A schedule is a function of its seed alone: how much the network loses, doubles and delays (hence
reorders), when workers crash, stop, continue, drain and return, when slots break, when workers get
more or fewer slots, when a dispatcher is killed and comes back with nothing but the journal. Two
runs may share nodes, whose workers share what they have been sent. After the chaos the world calms
down, and then every task must be in its journal exactly once.

    python -m tests.dispatch.fleet_simulator 10000        # schedules 0 to 9999
    python -m tests.dispatch.fleet_simulator 1 --first 77 # schedule 77 alone
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from elm.dispatch.broker import Broker
from sandbox.agent import Agent, Job
from sandbox.protocol import (
    Ack,
    Beat,
    Bundle,
    Code,
    Evaluation,
    FromDispatcher,
    FromWorker,
    Result,
    Status,
    Task,
    Welcome,
    decode_from_dispatcher,
    decode_from_worker,
    encode,
)
from sandbox.shelf import Shelf

TICK = 0.1
CHAOS_SECONDS = 15.0
CALM_SECONDS = 400.0  # a protocol that needs longer is stuck
BUNDLE = Bundle(environment="none", producer=Code("p", {"p": ""}), judge=Code("j", {"j": ""}))
DIGEST = BUNDLE.digest


class Broken(AssertionError):
    """The protocol did what it must never do."""


@dataclass
class _Machine:
    """One worker process: an agent and what its slots are doing."""

    agent: Agent
    up_at: float  # when its slots are started, once the bundle is there
    paused_until: float = 0.0
    jobs: dict[int, tuple[Job, float]] = field(default_factory=dict)  # by slot: job and its end
    up: set[int] = field(default_factory=set)  # slots
    inbox: list[bytes] = field(default_factory=list)
    run: str = ""  # as its last beat said
    holding: frozenset[int] = frozenset()
    freed: set[int] = field(default_factory=set)  # leases of that run that it may forget

    @property
    def peer(self) -> bytes:
        return f"{self.agent.worker}.{self.agent.session}".encode()

    def look(self, message: FromDispatcher) -> None:
        """Notes what it is told."""
        if isinstance(message, Ack) and message.run == self.run:
            self.freed.update(message.leases)
        if isinstance(message, Welcome) and message.run != self.run:
            self.run = ""  # what it holds is void, even where a late welcome takes it back again

    def check(self, message: FromWorker) -> None:
        """A worker may only forget what it was told to forget."""
        if not isinstance(message, Beat):
            return
        if message.run == self.run:
            gone = self.holding.difference(message.holding, self.freed)
            if gone:
                raise Broken(f"{self.agent.worker} has lost leases {sorted(gone)}")
        else:
            self.freed.clear()
        self.run, self.holding = message.run, frozenset(message.holding)


@dataclass
class _Place:
    """Where one worker of one run is, or will be again."""

    run: int
    node: int
    machine: _Machine | None = None
    due: float = 0.0


class Search:
    """One run of the world: a dispatcher, its pipeline and a journal that survives it."""

    def __init__(
        self, number: int, rng: random.Random, broker: type[Broker], tasks: dict[int, str]
    ) -> None:
        self.number, self.random, self.broker_type, self.tasks = number, rng, broker, tasks
        self.journal: dict[int, Evaluation] = {}
        self.lives = 0
        self.start()

    def start(self) -> None:
        """A life of the dispatcher, with nothing but the journal of those before."""
        self.lives += 1
        self.broker = self.broker_type(
            f"run{self.number}.{self.lives}", BUNDLE, max_tries=3, heartbeat=1.0, patience=4.0
        )
        self.delivered: set[int] = set()
        self.uncommitted: list[tuple[float, Evaluation]] = []
        self.accepted: set[str] = set()  # executions whose result has reached the pipeline
        self.sent: dict[tuple[str, str, int], str] = {}  # which execution a result is of
        self.broker.submit(
            [
                Task(number, DIGEST, {"main.py": kind}, seed=number)
                for number, kind in self.tasks.items()
                if number not in self.journal
            ]
        )

    @property
    def is_over(self) -> bool:
        return len(self.journal) == len(self.tasks) and not self.broker.open

    def step(self, now: float) -> list[tuple[bytes, bytes]]:
        """One round; what is to be sent, to whom."""
        outgoing = []
        for peer, message in self.broker.step(now):
            if isinstance(message, Ack):
                self._check_acknowledgement(peer, message)
            outgoing.append((peer, encode(message)))
        for evaluation in self.broker.collect():
            if evaluation.candidate in self.delivered:
                raise Broken(f"candidate {evaluation.candidate} delivered twice")
            self.delivered.add(evaluation.candidate)
            self.accepted.add(evaluation.detail)
            self.uncommitted.append((now + self.random.random(), evaluation))
        due = [evaluation for when, evaluation in self.uncommitted if when <= now]
        self.uncommitted = [pair for pair in self.uncommitted if pair[0] > now]
        for evaluation in due:
            if evaluation.candidate in self.journal:
                raise Broken(f"candidate {evaluation.candidate} counted twice")
            self.journal[evaluation.candidate] = evaluation
        self.broker.acknowledge(evaluation.candidate for evaluation in due)
        if self.broker.counts["faults"]:
            raise Broken(f"a worker is blamed: {self.broker.notices[-3:]}")
        return outgoing

    def check_verdicts(self) -> None:
        for number, evaluation in self.journal.items():
            kind = self.tasks[number]
            if evaluation.status is Status.POISON:
                right = kind != "good"
            else:
                right = (
                    kind in ("good", "flaky")
                    and evaluation.status is Status.OK
                    and evaluation.fitness == number / 2
                    and evaluation.artifact == [self.number, number]
                )
            if not right:
                raise Broken(f"candidate {number} ({kind}) ended as {evaluation}")

    def _check_acknowledgement(self, peer: bytes, message: Ack) -> None:
        worker = peer.decode().rpartition(".")[0]
        journalled = {evaluation.detail for evaluation in self.journal.values()}
        for lease in message.leases:
            execution = self.sent.get((worker, message.run, lease))
            if execution in self.accepted and execution not in journalled:
                raise Broken(f"{execution} acknowledged before it was committed")


class Simulation:
    """One schedule.

    Args:
        seed: of the schedule.
        broker: class of the dispatcher's state machine.
        agent: class of the worker's.
    """

    def __init__(
        self, seed: int, broker: type[Broker] = Broker, agent: type[Agent] = Agent
    ) -> None:
        self.random = rng = random.Random(seed)
        self.agent_type = agent
        self.now = 0.0
        self.loss = rng.choice([0.0, 0.02, 0.2])
        self.doubling = rng.choice([0.0, 0.1])
        self.delay = rng.choice([0.05, 0.5, 3.0])
        self.crash = rng.choice([0.0, 0.05, 0.1])  # per second and worker
        self.pause = rng.choice([0.0, 0.1])
        self.restart = rng.choice([0.0, 0.1])  # of a dispatcher
        self.drain = rng.choice([0.0, 0.0, 0.1])
        self.resize = rng.choice([0.0, 0.3])
        self.counts: Counter[str] = Counter()  # of what the world did
        self.shelves = [Shelf() for _ in range(rng.choice([1, 1, 2]))]
        self.searches = [
            Search(number, rng, broker, self._tasks()) for number in range(rng.choice([1, 1, 2]))
        ]
        self.places = [
            _Place(search.number, rng.randrange(len(self.shelves)))
            for search in self.searches
            for _ in range(rng.randint(1, 3))
        ]
        self.executions = self.born = 0
        self.flight: list[tuple[float, int | None, bytes, bytes]] = []  # due, run, peer, frame

    def run(self) -> None:
        """Plays the schedule to its end.

        Raises:
            Broken: if a task is lost, counted twice, wrongly judged or acknowledged too early, if
                a worker loses or keeps what it must not, or has other slots than it was told.
        """
        while not all(search.is_over for search in self.searches):
            if self.now > CHAOS_SECONDS + CALM_SECONDS:
                missing = [sorted(set(each.tasks) - set(each.journal)) for each in self.searches]
                raise Broken(f"never finished: {missing}")
            self._tick()
        for search in self.searches:
            search.check_verdicts()
        self._silence()
        for _ in range(int(60 / TICK)):
            self._tick()
        self._check_rest()

    # The world --------------------------------------------------------------------------------

    def _tasks(self) -> dict[int, str]:
        kinds, weights = ["good", "kill", "lost", "flaky"], [40, 1, 1, 2]
        count = self.random.randint(1, 40)
        return {number: self.random.choices(kinds, weights)[0] for number in range(count)}

    def _tick(self) -> None:
        self.now += TICK
        if self.now > CHAOS_SECONDS:
            self._silence()
        self._deliver()
        for place in self.places:
            if place.machine is None:
                if self.now >= place.due:
                    place.machine = self._new_machine(place)
            else:
                self._run_machine(place, place.machine)
        for search in self.searches:
            for peer, frame in search.step(self.now):
                self._post(None, peer, frame)
            if self.random.random() < self.restart * TICK:
                self.counts["dispatchers killed"] += 1
                search.start()

    def _silence(self) -> None:
        self.loss = self.doubling = self.crash = self.pause = self.restart = 0.0
        self.drain = self.resize = 0.0
        self.delay = 0.05

    def _post(self, to: int | None, peer: bytes, frame: bytes) -> None:
        """Sends a frame to the run of this number, or to the worker at this address."""
        copies = 2 if self.random.random() < self.doubling else 1
        for _ in range(copies):
            if self.random.random() >= self.loss:
                due = self.now + self.random.random() * self.delay
                self.flight.append((due, to, peer, frame))

    def _deliver(self) -> None:
        due = [letter for letter in self.flight if letter[0] <= self.now]
        self.flight = [letter for letter in self.flight if letter[0] > self.now]
        for _, to, peer, frame in sorted(due, key=lambda letter: letter[0]):
            if to is not None:
                self.searches[to].broker.receive(peer, decode_from_worker(frame), self.now)
                continue
            for place in self.places:
                if place.machine is not None and place.machine.peer == peer:
                    place.machine.inbox.append(frame)

    def _check_rest(self) -> None:
        """What must be true of a world in which nothing happens any more."""
        for place in self.places:
            machine = place.machine
            if machine is None:
                continue
            worker, broker = machine.agent.worker, self.searches[place.run].broker
            if machine.holding:
                raise Broken(f"{worker} never forgets {sorted(machine.holding)}")
            if not broker.knows(worker):
                raise Broken(f"{worker} is not in the fleet")
            target = broker._workers[worker].target
            if target is not None and not target == machine.agent.wanted == len(machine.up):
                raise Broken(f"{worker} has {len(machine.up)} slots, told to have {target}")

    # Workers ----------------------------------------------------------------------------------

    def _new_machine(self, place: _Place) -> _Machine:
        rng = self.random
        self.born += 1
        slots = rng.randint(1, 3)
        agent = self.agent_type(
            f"w{self.born}",
            f"node{place.node}",
            slots,
            pid=1,
            prefetch=rng.randint(0, 6),
            most=slots + rng.randint(0, 2),
            shelf=self.shelves[place.node],
        )
        return _Machine(agent, self.now + rng.random())

    def _die(self, place: _Place, machine: _Machine) -> None:
        place.machine, place.due = None, self.now + 2 * self.random.random()
        self.counts["workers killed"] += 1
        if self.random.random() < 0.5:  # otherwise only its silence tells
            self.searches[place.run].broker.vanished(machine.agent.worker, "crashed")

    def _run_machine(self, place: _Place, machine: _Machine) -> None:
        rng, agent, search = self.random, machine.agent, self.searches[place.run]
        if self.now < machine.paused_until:
            return
        if rng.random() < self.pause * TICK:
            machine.paused_until = self.now + rng.random() * 8
            return
        if rng.random() < self.crash * TICK:
            self._die(place, machine)
            return
        self._disturb(machine, search)
        inbox, machine.inbox = machine.inbox, []
        for frame in inbox:
            message = decode_from_dispatcher(frame)
            machine.look(message)
            agent.receive(message, self.now)
        if not self._run_slots(machine, search.number):
            self._die(place, machine)
            return
        for outgoing in agent.step(self.now):
            machine.check(outgoing)
            if isinstance(outgoing, Result):
                key = (agent.worker, outgoing.run, outgoing.lease)
                search.sent[key] = outgoing.evaluation.detail
            self._post(search.number, machine.peer, encode(outgoing))
        if agent.reconnect:
            agent.reconnect = False
            machine.inbox.clear()
        if agent.drained or agent.dismissed:
            self.counts["workers drained"] += agent.drained
            place.machine, place.due = None, self.now + rng.random()

    def _disturb(self, machine: _Machine, search: Search) -> None:
        """What people and rules do to a worker."""
        rng, agent = self.random, machine.agent
        if rng.random() < self.drain * TICK:
            if rng.random() < 0.5:
                agent.drain()
            else:
                search.broker.drain(agent.worker)
        if rng.random() < self.resize * TICK:
            self.counts["workers resized"] += search.broker.knows(agent.worker)
            search.broker.resize(agent.worker, rng.randint(0, 6))

    def _run_slots(self, machine: _Machine, run: int) -> bool:
        """False if a program took the process down."""
        rng, agent, up = self.random, machine.agent, machine.up
        if agent.bundle is not None and self.now >= machine.up_at:
            for index in set(range(agent.wanted)) - up:
                up.add(index)
                agent.slot_up(index, DIGEST, "L3", {"zygote": index + 100})
        if up and rng.random() < self.crash * TICK:
            machine.up_at = self.now + rng.random()
            for index in sorted(up):
                agent.slot_down(index, DIGEST, "slot broke")
            up.clear()
        for index in range(agent.most):
            job, end = machine.jobs.get(index, (None, 0.0))
            if job is None:
                if index in up and index >= agent.wanted:
                    up.discard(index)
                    agent.slot_closed(index)
                elif index in up:
                    job = agent.take(index)
                    if job is not None:
                        machine.jobs[index] = (job, self.now + rng.random() * 0.5)
            elif self.now >= end:
                del machine.jobs[index]
                if job.task.files["main.py"] == "kill":
                    return False
                agent.finish(job, self._execute(job, run))
        return True

    def _execute(self, job: Job, run: int) -> Evaluation:
        self.executions += 1
        kind = job.task.files["main.py"]
        lost = kind == "lost" or (kind == "flaky" and self.random.random() < 0.3)
        return Evaluation(
            candidate=job.task.candidate,
            status=Status.LOST if lost else Status.OK,
            fitness=job.task.candidate / 2,
            artifact=[run, job.task.candidate],
            detail=f"execution {self.executions}",
            level="L3",
        )


def play(first: int, count: int) -> tuple[Counter[str], list[str]]:
    """Plays schedules; what happened in all of them, and a line for each that went wrong."""
    counts: Counter[str] = Counter()
    failures = []
    for seed in range(first, first + count):
        simulation = Simulation(seed)
        try:
            simulation.run()
        except Broken as error:
            failures.append(f"schedule {seed}: {error}")
        counts.update(simulation.counts)
        counts["executions"] += simulation.executions
        for search in simulation.searches:
            counts["tasks"] += len(search.tasks)
            counts.update(search.broker.counts)
    return counts, failures


def main() -> int:
    parser = argparse.ArgumentParser(description="Plays random schedules of the fleet's protocol.")
    parser.add_argument("count", type=int, help="how many")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    arguments = parser.parse_args()
    begun = time.monotonic()
    counts, failures = play(arguments.first, arguments.count)
    print("\n".join(failures))
    print(", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    seconds = time.monotonic() - begun
    print(f"{len(failures)} of {arguments.count} schedules went wrong, {seconds:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
