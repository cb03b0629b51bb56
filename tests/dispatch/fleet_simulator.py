"""Drives a broker and agents through a random schedule, with neither sockets nor clocks.

A schedule is a function of its seed alone: how much the network loses, doubles and delays (hence
reorders), when workers crash, stop and continue, when slots break, when the dispatcher is killed
and comes back with nothing but the journal. After the chaos the world calms down, and then every
task must be in the journal exactly once.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from elm.dispatch.broker import Broker
from sandbox.agent import Agent, Job
from sandbox.protocol import (
    Ack,
    Beat,
    Bundle,
    Code,
    Evaluation,
    Result,
    Status,
    Task,
    decode_from_dispatcher,
    decode_from_worker,
    encode,
)

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
    up: bool = False
    inbox: list[bytes] = field(default_factory=list)

    @property
    def peer(self) -> bytes:
        return f"{self.agent.worker}.{self.agent.session}".encode()


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
        self.broker_type, self.agent_type = broker, agent
        self.now = 0.0
        self.loss = rng.choice([0.0, 0.02, 0.2])
        self.doubling = rng.choice([0.0, 0.1])
        self.delay = rng.choice([0.05, 0.5, 3.0])
        self.crash = rng.choice([0.0, 0.05, 0.1])  # per second and worker
        self.pause = rng.choice([0.0, 0.1])
        self.restart = rng.choice([0.0, 0.1])  # of the dispatcher
        self.tasks = {
            number: rng.choices(["good", "kill", "lost", "flaky"], [40, 1, 1, 2])[0]
            for number in range(rng.randint(1, 40))
        }
        self.journal: dict[int, Evaluation] = {}
        self.executions = 0
        self.flight: list[tuple[float, bytes | None, bytes, bytes]] = []
        self.machines: list[_Machine | None] = [None] * rng.randint(1, 3)
        self.born = 0
        self.due_again = [0.0] * len(self.machines)
        self.held: dict[str, tuple[int, ...]] = {}  # by worker, as its last beat said
        self.lives = 0
        self._start_broker()

    def run(self) -> None:
        """Plays the schedule to its end.

        Raises:
            Broken: if a task is lost, counted twice, wrongly judged or acknowledged too early.
        """
        while len(self.journal) < len(self.tasks) or self.broker.open:
            if self.now > CHAOS_SECONDS + CALM_SECONDS:
                missing = sorted(set(self.tasks) - set(self.journal))
                raise Broken(f"never finished: {missing}")
            self._tick()
        for number, evaluation in self.journal.items():
            self._check_verdict(number, evaluation)
        self._silence()
        for _ in range(int(60 / TICK)):
            self._tick()
        living = {machine.agent.worker for machine in self.machines if machine}
        kept = {worker: leases for worker, leases in self.held.items() if leases}
        if kept.keys() & living:
            raise Broken(f"workers never forget: {kept}")

    # The world --------------------------------------------------------------------------------

    def _tick(self) -> None:
        self.now += TICK
        if self.now > CHAOS_SECONDS:
            self._silence()
        self._deliver()
        for place, machine in enumerate(self.machines):
            if machine is None:
                if self.now >= self.due_again[place]:
                    self.machines[place] = self._new_machine()
            else:
                self._run_machine(place, machine)
        self._run_pipeline()
        if self.random.random() < self.restart * TICK:
            self._start_broker()

    def _silence(self) -> None:
        self.loss = self.doubling = self.crash = self.pause = self.restart = 0.0
        self.delay = 0.05

    def _post(self, source: bytes, target: bytes | None, frame: bytes) -> None:
        copies = 2 if self.random.random() < self.doubling else 1
        for _ in range(copies):
            if self.random.random() >= self.loss:
                due = self.now + self.random.random() * self.delay
                self.flight.append((due, target, source, frame))

    def _deliver(self) -> None:
        due = [letter for letter in self.flight if letter[0] <= self.now]
        self.flight = [letter for letter in self.flight if letter[0] > self.now]
        for _, target, source, frame in sorted(due, key=lambda letter: letter[0]):
            if target is None:
                self.broker.receive(source, decode_from_worker(frame), self.now)
                continue
            for machine in self.machines:
                if machine is not None and machine.peer == target:
                    machine.inbox.append(frame)

    # Workers ----------------------------------------------------------------------------------

    def _new_machine(self) -> _Machine:
        self.born += 1
        agent = self.agent_type(
            f"w{self.born}",
            "node",
            self.random.randint(1, 3),
            pid=1,
            prefetch=self.random.randint(0, 6),
        )
        return _Machine(agent, self.now + self.random.random())

    def _die(self, place: int, machine: _Machine) -> None:
        self.machines[place] = None
        self.due_again[place] = self.now + 2 * self.random.random()
        if self.random.random() < 0.5:  # otherwise only its silence tells
            self.broker.vanished(machine.agent.worker, "crashed")

    def _run_machine(self, place: int, machine: _Machine) -> None:
        rng, agent = self.random, machine.agent
        if self.now < machine.paused_until:
            return
        if rng.random() < self.pause * TICK:
            machine.paused_until = self.now + rng.random() * 8
            return
        if rng.random() < self.crash * TICK:
            self._die(place, machine)
            return
        inbox, machine.inbox = machine.inbox, []
        for frame in inbox:
            agent.receive(decode_from_dispatcher(frame), self.now)
        if not self._run_slots(machine):
            self._die(place, machine)
            return
        for message in agent.step(self.now):
            if isinstance(message, Beat):
                self.held[agent.worker] = message.holding
            if isinstance(message, Result):
                self.sent[agent.worker, message.run, message.lease] = message.evaluation.detail
            self._post(machine.peer, None, encode(message))
        if agent.reconnect:
            agent.reconnect = False
            machine.inbox.clear()
        if agent.drained or agent.dismissed:
            self.machines[place] = None
            self.due_again[place] = self.now

    def _run_slots(self, machine: _Machine) -> bool:
        """False if a program took the process down."""
        rng, agent = self.random, machine.agent
        count = len(agent._seats)
        if agent.bundle is not None and not machine.up and self.now >= machine.up_at:
            machine.up = True
            for index in range(count):
                agent.slot_up(index, DIGEST, "L3", {"zygote": index + 100})
        if machine.up and rng.random() < self.crash * TICK:
            machine.up, machine.up_at = False, self.now + rng.random()
            for index in range(count):
                agent.slot_down(index, DIGEST, "slot broke")
        for index in range(count):
            job, end = machine.jobs.get(index, (None, 0.0))
            if job is None:
                job = agent.take(index)
                if job is not None:
                    machine.jobs[index] = (job, self.now + rng.random() * 0.5)
            elif self.now >= end:
                del machine.jobs[index]
                self.executions += 1
                kind = job.task.files["main.py"]
                if kind == "kill":
                    return False
                lost = kind == "lost" or (kind == "flaky" and rng.random() < 0.3)
                status = Status.LOST if lost else Status.OK
                agent.finish(
                    job,
                    Evaluation(
                        candidate=job.task.candidate,
                        status=status,
                        fitness=job.task.candidate / 2,
                        artifact=[job.task.candidate],
                        detail=f"execution {self.executions}",
                    ),
                )
        return True

    # Dispatcher and pipeline ------------------------------------------------------------------

    def _start_broker(self) -> None:
        self.lives += 1
        self.broker = self.broker_type(
            f"run{self.lives}", BUNDLE, max_tries=3, heartbeat=1.0, patience=4.0
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

    def _run_pipeline(self) -> None:
        for peer, message in self.broker.step(self.now):
            if isinstance(message, Ack):
                self._check_acknowledgement(peer, message)
            self._post(b"", peer, encode(message))
        for evaluation in self.broker.collect():
            if evaluation.candidate in self.delivered:
                raise Broken(f"candidate {evaluation.candidate} delivered twice")
            self.delivered.add(evaluation.candidate)
            self.accepted.add(evaluation.detail)
            self.uncommitted.append((self.now + self.random.random(), evaluation))
        due = [evaluation for when, evaluation in self.uncommitted if when <= self.now]
        self.uncommitted = [pair for pair in self.uncommitted if pair[0] > self.now]
        for evaluation in due:
            if evaluation.candidate in self.journal:
                raise Broken(f"candidate {evaluation.candidate} counted twice")
            self.journal[evaluation.candidate] = evaluation
        self.broker.acknowledge(evaluation.candidate for evaluation in due)

    def _check_acknowledgement(self, peer: bytes, message: Ack) -> None:
        worker = peer.decode().rpartition(".")[0]
        journalled = {evaluation.detail for evaluation in self.journal.values()}
        for lease in message.leases:
            execution = self.sent.get((worker, message.run, lease))
            if execution in self.accepted and execution not in journalled:
                raise Broken(f"{execution} acknowledged before it was committed")

    def _check_verdict(self, number: int, evaluation: Evaluation) -> None:
        kind = self.tasks[number]
        if evaluation.status is Status.POISON:
            right = kind != "good"
        else:
            right = (
                kind in ("good", "flaky")
                and evaluation.status is Status.OK
                and evaluation.fitness == number / 2
                and evaluation.artifact == [number]
            )
        if not right:
            raise Broken(f"candidate {number} ({kind}) ended as {evaluation}")
