"""Drives a desk and its samplers through a random schedule, with neither sockets nor clocks.

A schedule is a function of its seed alone: how much the network loses, doubles and delays (hence
reorders), when samplers crash, stop, continue, leave and return, when the run itself is killed and
begins again with what it has not collected. Then the world calms down, and every part must have
been collected exactly once.

    python -m tests.sampler.sampler_simulator 10000        # schedules 0 to 9999
    python -m tests.sampler.sampler_simulator 1 --first 77 # schedule 77 alone
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from elm.candidate import Proposal, Status
from elm.sampler.base import Part
from elm.sampler.desk import SEAT, Desk, Finished, Hand
from elm.sampler.member import Member
from elm.sampler.messages import Job, Work, decode_from_run, decode_from_sampler, encode
from elm.variation.base import Order

TICK = 0.1
CHAOS_SECONDS = 15.0
CALM_SECONDS = 200.0  # a protocol that needs longer is stuck
JOB = Job(environment={}, model={}, variation={}, environment_version="1", identity="same")


class Broken(AssertionError):
    """The protocol did what it must never do."""


def part(number: int, orders: int = 2) -> Part:
    return Part(number // 3, number % 3, tuple(Order((), number * 10 + i) for i in range(orders)))


def proposals(made: Part) -> tuple[Proposal, ...]:
    """What an operator makes of a part: a function of its orders alone."""
    return tuple(
        Proposal(program=None, status=Status.EMPTY_OUTPUT, detail=str(order.seed))
        for order in made.orders
    )


@dataclass
class _Machine:
    """One sampler process."""

    member: Member
    up_at: float  # when its operator is built
    lanes: int
    paused_until: float = 0.0
    jobs: list[tuple[float, str, int, Part]] = field(default_factory=list)  # end, run, lease
    inbox: list[bytes] = field(default_factory=list)

    @property
    def peer(self) -> bytes:
        return b"\1" + self.member.address.encode()


@dataclass
class _Place:
    """Where a sampler is, or will be again."""

    machine: _Machine | None = None
    due: float = 0.0


class Simulation:
    """One schedule.

    Args:
        seed: of the schedule.
        desk: class of the run's state machine.
        member: class of the samplers'.
    """

    def __init__(self, seed: int, desk: type[Desk] = Desk, member: type[Member] = Member) -> None:
        self.random = rng = random.Random(seed)
        self.desk_type, self.member_type = desk, member
        self.now = 0.0
        self.loss = rng.choice([0.0, 0.02, 0.2])
        self.doubling = rng.choice([0.0, 0.1])
        self.delay = rng.choice([0.05, 0.5, 3.0])
        self.crash = rng.choice([0.0, 0.05, 0.1])  # per second and sampler
        self.pause = rng.choice([0.0, 0.1])
        self.leaving = rng.choice([0.0, 0.1])
        self.restart = rng.choice([0.0, 0.1])  # of the run
        self.withdrawing = rng.choice([0.0, 0.0, 0.3])
        self.seated = rng.choice([0, 0, 1, 2])  # lanes of the run's own process
        self.counts: Counter[str] = Counter()  # of what the world did
        self.parts = [part(number) for number in range(rng.randint(1, 40))]
        self.number = {(each.block, each.index): n for n, each in enumerate(self.parts)}
        self.turn: dict[tuple[int, int], int] = {}  # when each part was submitted at last
        self.submitted = 0
        self.collected: dict[int, Finished] = {}
        self.places = [_Place(due=rng.random() * 5) for _ in range(rng.randint(1, 4))]
        self.born = self.lives = 0
        self.flight: list[tuple[float, bool, bytes, bytes]] = []  # due, to the run, peer, frame
        self._start_run()

    def run(self) -> None:
        """Plays the schedule to its end.

        Raises:
            Broken: if a part is lost, collected twice, wrongly made or handed out of its turn.
        """
        while len(self.collected) < len(self.parts):
            if self.now > CHAOS_SECONDS + CALM_SECONDS:
                raise Broken(f"never finished: {set(range(len(self.parts))) - set(self.collected)}")
            self._tick()
        self._silence()
        for _ in range(int(30 / TICK)):
            self._tick()
        for place in self.places:
            if place.machine is not None and place.machine.member.busy:
                raise Broken(f"{place.machine.member.life} never forgets what it has made")
        if self.desk.queued or any(each["making"] for each in self.desk.status()):
            raise Broken("the desk still has work, but nothing is asked of it")

    # The world --------------------------------------------------------------------------------

    def _start_run(self) -> None:
        self.lives += 1
        self.desk = self.desk_type(f"run.{self.lives}", JOB, heartbeat=1.0, patience=4.0)
        if self.seated:
            self.desk.seat("local", self.seated)
        self.last_lease = 0
        self.own: list[tuple[float, Hand]] = []  # parts that the run's own process makes
        self._submit([each for n, each in enumerate(self.parts) if n not in self.collected])

    def _submit(self, parts: list[Part]) -> None:
        for each in parts:
            self.submitted += 1
            self.turn[each.block, each.index] = self.submitted
        self.desk.submit(parts)

    def _tick(self) -> None:
        self.now += TICK
        if self.now > CHAOS_SECONDS:
            self._silence()
        self._deliver()
        for place in self.places:
            if place.machine is None:
                if self.now >= place.due:
                    place.machine = self._new_machine()
            else:
                self._run_machine(place, place.machine)
        self._run_desk()
        if self.random.random() < self.restart * TICK:
            self.counts["runs killed"] += 1
            self._start_run()

    def _silence(self) -> None:
        self.loss = self.doubling = self.crash = self.pause = self.restart = 0.0
        self.leaving = self.withdrawing = 0.0
        self.delay = 0.05

    def _post(self, to_run: bool, peer: bytes, frame: bytes) -> None:
        copies = 2 if self.random.random() < self.doubling else 1
        for _ in range(copies):
            if self.random.random() >= self.loss:
                due = self.now + self.random.random() * self.delay
                self.flight.append((due, to_run, peer, frame))

    def _deliver(self) -> None:
        due = [letter for letter in self.flight if letter[0] <= self.now]
        self.flight = [letter for letter in self.flight if letter[0] > self.now]
        for _, to_run, peer, frame in sorted(due, key=lambda letter: letter[0]):
            if to_run:
                self.desk.receive(peer, decode_from_sampler(frame), self.now)
                continue
            for place in self.places:
                if place.machine is not None and place.machine.peer == peer:
                    place.machine.inbox.append(frame)

    def _run_desk(self) -> None:
        desk = self.desk
        for end, hand in list(self.own):
            if end <= self.now:
                self.own.remove((end, hand))
                desk.finish(hand.lease, Finished(hand.part, proposals(hand.part), 0.1, "local"))
        if self.random.random() < self.withdrawing * TICK:
            taken = desk.withdraw()
            self.counts["withdrawn"] += len(taken)
            turns = [self.turn[each.block, each.index] for each in taken]
            if turns != sorted(turns):
                raise Broken(f"withdrawn out of order: {turns}")
            self._submit(taken)
        for peer, message in desk.step(self.now):
            if isinstance(message, Hand):
                self._check_turn(message)
                if peer == SEAT:
                    self.own.append((self.now + self.random.random(), message))
                    continue
                message = Work.pack(desk.run, message.lease, message.part)  # type: ignore[assignment]
            self._post(False, peer, encode(message))
        for finished in desk.collect():
            self._collect(finished)

    def _check_turn(self, hand: Hand) -> None:
        if hand.lease <= self.last_lease:
            return  # the same hand-out once more
        self.last_lease = hand.lease
        turn = self.turn[hand.part.block, hand.part.index]
        waiting = [self.turn[i.part.block, i.part.index] for i in self.desk._queue]
        if waiting and turn > min(waiting):
            raise Broken(f"turn {turn} comes before {min(waiting)}")

    def _collect(self, finished: Finished) -> None:
        number = self.number[finished.part.block, finished.part.index]
        if number in self.collected:
            raise Broken(f"part {number} is collected twice")
        if finished.error is not None or finished.proposals != proposals(self.parts[number]):
            raise Broken(f"part {number} came home as {finished}")
        self.collected[number] = finished

    # Samplers ---------------------------------------------------------------------------------

    def _new_machine(self) -> _Machine:
        self.born += 1
        name = f"machine{self.random.randint(1, 3)}"  # not always one of its own
        member = self.member_type(f"life{self.born}", name, 1, "", "")
        return _Machine(member, self.now + self.random.random() * 3, self.random.randint(1, 3))

    def _die(self, place: _Place, machine: _Machine) -> None:
        place.machine, place.due = None, self.now + 3 * self.random.random()
        self.counts["samplers killed"] += 1
        if self.random.random() < 0.3:  # otherwise only its silence tells
            self.desk.vanished(machine.member.life, "crashed")

    def _run_machine(self, place: _Place, machine: _Machine) -> None:
        rng, member = self.random, machine.member
        if self.now < machine.paused_until:
            return
        if rng.random() < self.pause * TICK:
            machine.paused_until = self.now + rng.random() * 8
            return
        if rng.random() < self.crash * TICK:
            self._die(place, machine)
            return
        if rng.random() < self.leaving * TICK:
            if rng.random() < 0.5:
                member.leave(self.now)
            else:
                self.desk.release(member.life)
        inbox, machine.inbox = machine.inbox, []
        for frame in inbox:
            member.receive(decode_from_run(frame), self.now)
        if member.job is not None and self.now >= machine.up_at:
            member.built(machine.lanes)
        for job in [job for job in machine.jobs if job[0] <= self.now]:
            machine.jobs.remove(job)
            _, run, lease, made = job
            member.finished(run, lease, proposals(made), 0.1)
        machine.jobs += [(self.now + rng.random() * 2, *begun) for begun in member.begin()]
        if len(machine.jobs) > 20 * machine.lanes:
            raise Broken(f"{member.life} makes {len(machine.jobs)} parts at one time")
        peer = machine.peer
        for message in member.step(self.now):
            self._post(True, peer, encode(message))
        member.reconnect = False
        if member.left or member.dismissed is not None:
            self.counts["samplers left"] += member.left
            if member.dismissed is not None:
                raise Broken(f"{member.life} is dismissed: {member.dismissed.reason}")
            place.machine, place.due = None, self.now + rng.random()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("schedules", type=int)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    begun = time.monotonic()
    counts: Counter[str] = Counter()
    for seed in range(arguments.first, arguments.first + arguments.schedules):
        simulation = Simulation(seed)
        try:
            simulation.run()
        except Broken as error:
            print(f"schedule {seed}: {error}")
            return 1
        counts.update(simulation.counts)
        counts.update({f"desk: {k}": v for k, v in simulation.desk.counts.items()})
    print(f"{arguments.schedules} schedules in {time.monotonic() - begun:.1f} s: {dict(counts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
