"""No member of the fleet can stop a run or reach the archive with what no sandbox says."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rogue import Frames, Rogue, good, result, strong_beat
from test_local_fleet import FAKE_WORKER, bundle, collect, wait_until

from elm.dispatch.broker import MOST_FAULTS, MOST_WORKERS, Broker
from elm.dispatch.fleet import Fleet
from sandbox.keys import keep
from sandbox.protocol import (
    PROTOCOL_VERSION,
    Assign,
    Beat,
    Bundle,
    Bye,
    Evaluation,
    FromWorker,
    Hello,
    Limits,
    Notice,
    Result,
    Status,
    Task,
    Want,
    WorkerState,
    decode_from_worker,
    encode,
)

SHORT = msgspec.structs.replace(
    bundle(), limits=Limits(wall_seconds=0.2), judge_limits=Limits(wall_seconds=0.2)
)
COUNT = 30


def tasks() -> list[Task]:
    return [Task(number, SHORT.digest, {"main.py": str(number)}, 0) for number in range(COUNT)]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    keep(tmp_path / "enrolled", "rogue")
    fleet = Fleet(
        1,
        listen="tcp://127.0.0.1:*",
        keys=str(tmp_path / "run"),
        enrolled=str(tmp_path / "enrolled"),
        heartbeat=0.2,
        patience=1.0,
    )
    fleet.command = FAKE_WORKER
    fleet.announce = lambda line: None
    yield fleet
    fleet.close()


def join(fleet: Fleet, tmp_path: Path, answer: Callable[[Assign], Frames], **more: Any) -> Rogue:
    fleet.start(SHORT)
    own = keep(tmp_path / "enrolled", "rogue")
    rogue = Rogue(fleet.listening or "", fleet.public_key, own, answer, **more)
    rogue.start()
    wait_until(
        lambda: (
            any(each["node"] == "rogue" for each in fleet.status()["workers"])
            or fleet.status()["counts"].get("faults")
        )
    )
    return rogue


def wrong_type(assign: Assign) -> Frames:
    document = msgspec.msgpack.decode(result(assign)[0])
    document[3]["fitness"] = "high"
    return [msgspec.msgpack.encode(document)]


def deep(assign: Assign) -> Frames:
    whole = Result.pack(assign.run, assign.lease, good(assign))
    return [encode(msgspec.structs.replace(whole, artifact=b"[" * 100_000 + b"]" * 100_000))]


def nothing(assign: Assign) -> Frames:
    return []


ANSWERS: dict[str, Callable[[Assign], Frames]] = {
    "garbage": lambda assign: [b"\xff" * 100],
    "huge frame": lambda assign: [bytes(70_000_000)],
    "wrong type": wrong_type,
    "another candidate": lambda assign: result(assign, candidate=assign.task.candidate + 500),
    "a lease it never had": lambda assign: result(assign, lease=assign.lease + 500),
    "fitness is not a number": lambda assign: result(assign, fitness=math.nan),
    "infinite descriptor": lambda assign: result(assign, descriptor=(math.inf,)),
    "time is not a number": lambda assign: result(assign, cpu_seconds=math.nan),
    "score is not a number": lambda assign: result(assign, scores={"a": -math.inf}),
    "deep artifact": deep,
    "level below what is taken": lambda assign: result(assign, level="L1"),
    "level that is none": lambda assign: result(assign, level="L9"),
    "never": nothing,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_whatever_it_answers_all_verdicts_are_those_of_the_rest(
    fleet: Fleet, tmp_path: Path, name: str
) -> None:
    rogue = join(fleet, tmp_path, ANSWERS[name])
    wait_until(lambda: fleet.slots == 65)
    fleet.submit(tasks())
    found = collect(fleet, COUNT)
    assert rogue.assigned > 0
    assert {number: each.fitness for number, each in found.items()} == {
        number: float(number) for number in range(COUNT)
    }
    assert {each.node for each in found.values()} == {"local"}
    rogue.stopping.set()


def test_one_that_keeps_talking_wrongly_is_sent_away_and_named(
    fleet: Fleet, tmp_path: Path
) -> None:
    rogue = join(fleet, tmp_path, ANSWERS["fitness is not a number"])
    wait_until(lambda: fleet.slots == 65)
    fleet.submit(tasks())
    assert len(collect(fleet, COUNT)) == COUNT
    assert fleet.slots == 1
    assert fleet.status()["counts"]["faults"] == MOST_FAULTS
    (line,) = [line for line in fleet.notices() if "sent away" in line]
    assert line.startswith("sandbox rogue is sent away: its result for candidate ")
    assert line.endswith("has a fitness of nan")
    wait_until(lambda: rogue.dismissed)
    rogue.stopping.set()


def test_one_that_keeps_its_tasks_forever_is_sent_away(fleet: Fleet, tmp_path: Path) -> None:
    held: list[int] = []

    def hold(assign: Assign) -> Frames:
        held.append(assign.lease)
        return []

    def beat(run: str, seq: int) -> Beat:
        return msgspec.structs.replace(strong_beat(run, seq), holding=tuple(held))

    rogue = join(fleet, tmp_path, hold, beat=beat)
    wait_until(lambda: fleet.slots == 65)
    fleet.submit(tasks())
    assert {each.status for each in collect(fleet, COUNT).values()} == {Status.OK}
    assert any("it has kept a program for" in line for line in fleet.notices())
    wait_until(lambda: rogue.dismissed)
    rogue.stopping.set()


@pytest.mark.parametrize("level", ["L1", "", "L9"])
def test_one_with_too_weak_a_jail_is_given_nothing(
    fleet: Fleet, tmp_path: Path, level: str
) -> None:
    def beat(run: str, seq: int) -> Beat:
        return msgspec.structs.replace(strong_beat(run, seq), level=level)

    rogue = join(fleet, tmp_path, nothing, beat=beat)
    told: list[str] = []

    def is_told() -> bool:
        told.extend(fleet.notices())
        return any(line.startswith("sandbox rogue offers level ") for line in told)

    wait_until(is_told)
    fleet.submit(tasks())
    assert len(collect(fleet, COUNT)) == COUNT
    assert rogue.assigned == 0
    assert fleet.level == "L2"
    rogue.stopping.set()


def test_one_that_never_stops_talking_is_cut_short(fleet: Fleet, tmp_path: Path) -> None:
    def chatter() -> Frames:
        return [encode(Notice("\x1b[2J" + "buy " * 200))] * 500

    rogue = join(fleet, tmp_path, nothing, extra=chatter)
    fleet.submit(tasks())
    assert len(collect(fleet, COUNT)) == COUNT
    time.sleep(0.5)
    lines = fleet.notices()
    mine = [line for line in lines if "buy" in line]
    assert 0 < len(mine) <= 30
    assert all("\x1b" not in line and len(line) <= 400 for line in mine)
    assert "too many lines about sandbox rogue: the rest of this minute is left out" in lines
    rogue.stopping.set()


def test_one_that_asks_for_the_bundle_without_end_gets_it_now_and_then(
    fleet: Fleet, tmp_path: Path
) -> None:
    rogue = join(fleet, tmp_path, nothing, extra=lambda: [encode(Want(SHORT.digest))] * 200)
    fleet.submit(tasks())
    begun = time.monotonic()
    assert len(collect(fleet, COUNT)) == COUNT
    most = 3 + (time.monotonic() - begun + 2) / 0.1
    assert fleet.status()["counts"]["parcels"] <= most
    rogue.stopping.set()


def test_one_connection_is_one_worker(fleet: Fleet, tmp_path: Path) -> None:
    born = iter(range(10**9))

    def more() -> Frames:
        return [encode(Hello(f"w{next(born)}", 1, "rogue", 1, 1)) for _ in range(50)]

    rogue = join(fleet, tmp_path, nothing, extra=more)
    fleet.submit(tasks())
    assert len(collect(fleet, COUNT)) == COUNT
    assert len(fleet.status()["workers"]) <= 3
    rogue.stopping.set()


# The state machine, against anything that the wire can carry ------------------------------------

INTEGERS = [0, 1, 2, 3, 7, -1, 2**31, 2**62, -(2**62)]
NUMBERS = [0.0, 1.5, -1.0, math.nan, math.inf, -math.inf]
NAMES = [f"w{number}" for number in range(50)]
WORDS = ["", "run", "older", "a", "b", "L0", "L1", "L3", "L9", "\x1b[2J", "é" * 500]


def anything(rng: random.Random, digest: str) -> FromWorker:
    """Some message with some values; often ones that fit."""

    def number() -> int:
        return rng.choice(INTEGERS) if rng.random() < 0.1 else rng.randrange(1, 60)

    def word(*likely: str) -> str:
        return rng.choice([*WORDS, *likely * 8])

    def evaluation() -> Evaluation:
        return Evaluation(
            candidate=rng.choice([number(), rng.randrange(20)]),
            status=rng.choice(list(Status)),
            fitness=rng.choice([None, *NUMBERS]),
            descriptor=rng.choice([None, (), (1.0, rng.choice(NUMBERS))]),
            metrics=rng.choice([{}, {word(): rng.choice(NUMBERS)}]),
            detail=word(),
            cpu_seconds=rng.choice(NUMBERS),
            level=word("L2"),
        )

    kind = rng.choice([Hello, Want, *[Beat] * 6, Result, Result, Notice, Bye])
    if kind is Hello:
        protocol = rng.choice([PROTOCOL_VERSION] * 3 + [number()])
        return Hello(rng.choice(NAMES), number(), word(), number(), number(), protocol)
    if kind is Want:
        return Want(word(digest))
    if kind is Beat:
        holding = tuple(number() for _ in range(rng.randrange(6)))
        return Beat(
            word("run"),
            number(),
            rng.choice([*WorkerState, *[WorkerState.READY] * 4]),
            word(),
            word("L2", "L3"),
            number(),
            number(),
            holding,
            {word(): number()},
            number(),
            number(),
            rng.choice(NUMBERS),
            number(),
        )
    if kind is Result:
        artifact = rng.choice([b"null", b"[1]", b"{", b"1e999", b"\xff", b"[" * 5000, b""])
        return Result(
            word("run"),
            rng.choice([number(), rng.randrange(40)]),
            evaluation(),
            artifact,
            rng.random() < 0.5,
        )
    return Notice(word()) if kind is Notice else Bye(word())


@pytest.mark.parametrize("start", range(0, 200, 50))
def test_no_sequence_of_messages_breaks_the_dispatcher(start: int) -> None:
    delivered = faults = 0
    for seed in range(start, start + 50):
        rng = random.Random(seed)
        broker = Broker("run", SHORT, heartbeat=1.0, patience=5.0, least_level="L2")
        broker.submit([Task(number, SHORT.digest, {}, 0) for number in range(20)])
        now = 0.0
        seen: set[int] = set()
        assigned: list[tuple[bytes, Assign]] = []
        for _ in range(500):
            now += rng.choice([0.0, 0.0, 0.01, 0.5, 3.0])
            peer = rng.choice([b"p", b"q", b"r"])
            choice = rng.random()
            if choice < 0.02:
                broker.garbled(peer, now)
            elif choice < 0.3 and assigned:
                peer, assign = rng.choice(assigned[-5:])
                level = rng.choice(["L2", "L2", "L2", "L1"])
                broker.receive(peer, decode_from_worker(result(assign, level=level)[0]), now)
            else:
                message = decode_from_worker(encode(anything(rng, SHORT.digest)))
                broker.receive(peer, message, now)
            for to, answer in broker.step(now):
                encode(answer)
                if isinstance(answer, Assign):
                    assigned.append((to, answer))
            broker.status(now)
            for evaluation in broker.collect():
                assert evaluation.candidate not in seen, f"seed {seed}: delivered twice"
                assert evaluation.candidate in range(20)
                assert math.isfinite(evaluation.fitness or 0.0)
                assert evaluation.status is Status.POISON or evaluation.level in ("L2", "L3")
                seen.add(evaluation.candidate)
                if rng.random() < 0.5:
                    broker.acknowledge([evaluation.candidate])
            assert broker.slots >= 0
            assert all("\x1b" not in line for line in broker.notices)
        census = broker.status(now)
        assert census["queued"] + census["leased"] + len(seen) == 20, f"seed {seed}: one is lost"
        delivered += len(seen)
        faults += broker.counts["faults"]
    # Sequences that get nowhere would prove nothing.
    assert delivered > 50
    assert faults > 50


def test_workers_without_end_are_refused() -> None:
    broker = Broker("run", SHORT)
    for number in range(MOST_WORKERS + 50):
        broker.receive(str(number).encode(), Hello(f"w{number}", 1, "n", 1, 1), 0.0)
    assert len(broker.status(0.0)["workers"]) == MOST_WORKERS
    refusals = [message for _, message in broker.step(0.0) if isinstance(message, Bye)]
    assert len(refusals) == 50
    assert "a run takes 1000" in refusals[0].reason
    assert len(broker.notices) < 400


def test_a_stopped_dispatcher_blames_no_worker_for_its_own_pause() -> None:
    slow: Bundle = SHORT
    broker = Broker("run", slow, heartbeat=1.0, patience=5.0)
    broker.receive(b"a", Hello("a", 1, "a", 1, 1), 0.0)
    beat = Beat("run", 1, WorkerState.READY, "", "L3", 1, 1, (), {}, 1, 1, 0.0, 1)
    broker.receive(b"a", beat, 0.0)
    broker.submit([Task(1, slow.digest, {}, 0)])
    broker.step(1.0)
    for now in (2.0, 3.0):
        broker.receive(b"a", msgspec.structs.replace(beat, seq=int(now), holding=(1,)), now)
        broker.step(now)
    # Stopped for an hour; what the worker has sent meanwhile is read first.
    broker.receive(b"a", msgspec.structs.replace(beat, seq=9, holding=(1,)), 3600.0)
    broker.step(3600.0)
    assert broker.knows("a")
    assert broker.counts["workers_lost"] == 0
