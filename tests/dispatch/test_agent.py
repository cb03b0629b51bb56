"""The worker's state machine, message by message; and the messages themselves."""

from __future__ import annotations

from typing import TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.agent import FIRST_PATIENCE, Agent
from sandbox.protocol import (
    Ack,
    Assign,
    Beat,
    Bundle,
    Bye,
    Code,
    Drain,
    Evaluation,
    Hello,
    Introduce,
    Notice,
    Parcel,
    Pulse,
    Result,
    Status,
    Task,
    Want,
    Welcome,
    WorkerState,
    decode_from_dispatcher,
    decode_from_worker,
    encode,
)

BUNDLE = Bundle(environment="none", producer=Code("p", {"p": ""}), judge=Code("j", {"j": ""}))
OTHER = Bundle(environment="other", producer=Code("p", {"p": ""}), judge=Code("j", {"j": ""}))
M = TypeVar("M")


def assign(lease: int, run: str = "run") -> Assign:
    return Assign(run, lease, Task(lease + 100, BUNDLE.digest, {"main.py": ""}, 0))


def done(candidate: int, **fields: object) -> Evaluation:
    return Evaluation(candidate=candidate, status=Status.OK, **fields)  # type: ignore[arg-type]


class Desk:
    """An agent with two slots, and what it has sent."""

    def __init__(self) -> None:
        self.agent = Agent("w", "node", 2, pid=7, prefetch=3)
        self.now = 100.0
        self.sent: list[object] = []

    def hear(self, *messages: object) -> None:
        for message in messages:
            self.agent.receive(message, self.now)  # type: ignore[arg-type]
        self.step()

    def step(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.sent += self.agent.step(self.now)

    def take(self, kind: type[M]) -> list[M]:
        chosen = [message for message in self.sent if isinstance(message, kind)]
        self.sent = [message for message in self.sent if not isinstance(message, kind)]
        return chosen

    def ready(self) -> None:
        self.hear(Welcome("run", BUNDLE.digest, 1.0, 5.0), Parcel(BUNDLE))
        for index in range(2):
            self.agent.slot_up(index, BUNDLE.digest, "L3", {"zygote": 40 + index})
        self.step()
        self.sent.clear()


def test_it_says_hello_until_it_is_welcomed() -> None:
    desk = Desk()
    for _ in range(3):
        desk.step(1)
    assert desk.take(Hello) == 3 * [Hello("w", 1, "node", 2, 7)]
    desk.hear(Welcome("run", BUNDLE.digest, 1.0, 5.0))
    desk.step(1)
    assert not desk.take(Hello)


def test_it_asks_for_the_bundle_until_it_comes_and_then_never_again() -> None:
    desk = Desk()
    desk.hear(Welcome("run", BUNDLE.digest, 1.0, 60.0))
    desk.step(1)
    desk.step(1)
    assert desk.take(Want) == 3 * [Want(BUNDLE.digest)]
    desk.hear(Parcel(OTHER))
    assert desk.agent.bundle is None
    desk.hear(Parcel(BUNDLE), Welcome("run", BUNDLE.digest, 1.0, 60.0))
    assert desk.agent.bundle == BUNDLE
    desk.step(5)
    assert not desk.take(Want)


def test_its_beat_tells_what_its_slots_are() -> None:
    desk = Desk()
    desk.hear(Welcome("run", BUNDLE.digest, 1.0, 60.0), Parcel(BUNDLE))
    assert desk.take(Beat)[-1].state is WorkerState.LOADING
    desk.agent.slot_down(0, BUNDLE.digest, "no Box2D")
    desk.step()
    assert desk.take(Beat)[-1].state is WorkerState.LOADING
    desk.agent.slot_down(1, BUNDLE.digest, "no Box2D")
    desk.step()
    beat = desk.take(Beat)[-1]
    assert (beat.state, beat.detail, beat.credit) == (WorkerState.FAILED, "no Box2D", 0)
    desk.agent.slot_up(1, BUNDLE.digest, "L2", {"zygote": 5})
    desk.step()
    beat = desk.take(Beat)[-1]
    assert (beat.state, beat.level, beat.slots, beat.credit) == (WorkerState.READY, "L2", 1, 4)
    assert beat.pids == {"slot1.zygote": 5}


def test_slots_take_tasks_in_order_and_a_double_is_taken_once() -> None:
    desk = Desk()
    desk.ready()
    desk.hear(assign(1), assign(2), assign(1), assign(3))
    jobs = [desk.agent.take(index) for index in (0, 1, 0, 0)]
    assert [job and job.lease for job in jobs] == [1, 2, 3, None]
    assert jobs[0] is not None
    desk.agent.finish(jobs[0], done(101))
    desk.hear(assign(1))
    assert desk.agent.take(0) is None


def test_a_result_is_sent_at_once_and_again_until_it_is_acknowledged() -> None:
    desk = Desk()
    desk.ready()
    desk.hear(assign(1))
    job = desk.agent.take(0)
    assert job is not None
    desk.agent.finish(job, done(101, fitness=2.5, artifact={"n": 10**30}))
    desk.step()
    (first,) = desk.take(Result)
    assert first.unpack() == done(101, fitness=2.5, artifact={"n": 10**30})
    for _ in range(8):
        desk.hear(Pulse("run"))
        desk.step(1)
    assert 1 <= len(desk.take(Result)) <= 3  # with a growing pause
    assert desk.take(Beat)[-1].holding == (1,)
    desk.hear(Ack("another run", (1,)))
    desk.step(1)
    assert desk.take(Beat)[-1].holding == (1,)
    desk.hear(Ack("run", (1,)))
    desk.step(1)
    assert desk.take(Beat)[-1].holding == ()
    desk.take(Result)
    for _ in range(60):
        desk.hear(Pulse("run"))
        desk.step(1)
    assert not desk.take(Result)


def test_a_lease_that_ended_is_not_executed() -> None:
    desk = Desk()
    desk.ready()
    desk.hear(assign(1), assign(2), Ack("run", (1,)))
    job = desk.agent.take(0)
    assert job is not None
    assert job.lease == 2


def test_silence_makes_it_reconnect_and_send_its_results_again() -> None:
    desk = Desk()
    desk.ready()
    desk.hear(assign(1))
    job = desk.agent.take(0)
    assert job is not None
    desk.agent.finish(job, done(101))
    desk.step()
    desk.take(Result)
    desk.step(5.5)
    assert desk.agent.reconnect
    assert desk.agent.session == 2
    assert desk.take(Hello) == [Hello("w", 2, "node", 2, 7)]
    desk.hear(Welcome("run", BUNDLE.digest, 1.0, 5.0))
    assert [result.lease for result in desk.take(Result)] == [1]


def test_another_run_voids_what_it_holds() -> None:
    desk = Desk()
    desk.ready()
    desk.hear(assign(1), assign(2), assign(3))
    old, finished = desk.agent.take(0), desk.agent.take(1)
    assert old is not None
    assert finished is not None
    desk.agent.finish(finished, done(102))
    desk.hear(Introduce())
    assert desk.take(Hello)
    desk.hear(Welcome("next", BUNDLE.digest, 1.0, 5.0), assign(1, "next"))
    desk.take(Result)
    new = desk.agent.take(1)
    assert new is not None
    assert new.run == "next"
    desk.agent.finish(old, done(101))  # the same lease number, of the run before
    desk.step()
    assert not desk.take(Result)
    desk.agent.finish(new, done(101))
    desk.step()
    assert [(result.run, result.lease) for result in desk.take(Result)] == [("next", 1)]


def test_draining_gives_back_what_waits_and_finishes_what_runs() -> None:
    desk = Desk()
    desk.ready()
    desk.hear(assign(1), assign(2))
    job = desk.agent.take(0)
    assert job is not None
    desk.hear(Drain())
    (back,) = desk.take(Result)
    assert (back.lease, back.evaluation.status, back.blame) == (2, Status.LOST, False)
    assert desk.take(Beat)[-1].credit == 0
    desk.hear(assign(5))
    assert [result.lease for result in desk.take(Result)] == [5]
    desk.agent.finish(job, done(101))
    desk.hear(Ack("run", (2, 5)))
    assert not desk.agent.drained
    desk.hear(Ack("run", (1,)))
    assert desk.agent.drained
    assert desk.take(Bye)


def test_when_all_slots_are_down_the_tasks_go_back() -> None:
    desk = Desk()
    desk.ready()
    desk.hear(assign(1))
    desk.agent.slot_down(0, BUNDLE.digest, "broke")
    assert not desk.take(Result)
    desk.agent.slot_down(1, BUNDLE.digest, "broke")
    desk.step()
    (back,) = desk.take(Result)
    assert (back.lease, back.blame) == (1, False)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"artifact": "\ud800"}, Status.BAD_RESULT),
        ({"logs": "\ud800"}, Status.BAD_RESULT),
        ({"artifact": {1, 2}}, Status.OK),  # a set is a list in JSON
        ({"artifact": object()}, Status.BAD_RESULT),
        ({"artifact": "x" * (64 << 20)}, Status.OUTPUT_LIMIT),
    ],
)
def test_a_result_that_cannot_be_sent_says_so(fields: dict[str, object], status: Status) -> None:
    desk = Desk()
    desk.ready()
    desk.hear(assign(1))
    job = desk.agent.take(0)
    assert job is not None
    desk.agent.finish(job, done(101, cpu_seconds=0.5, **fields))
    desk.step()
    (result,) = desk.take(Result)
    assert decode_from_worker(encode(result)) == result
    assert result.evaluation.status is status
    assert result.evaluation.cpu_seconds == 0.5


def test_notices_are_one_line_that_can_be_sent() -> None:
    desk = Desk()
    desk.ready()
    desk.agent.notice("two\nlines \ud800" + 500 * "x")
    desk.step()
    (notice,) = desk.take(Notice)
    assert "\n" not in notice.text
    assert len(notice.text) <= 300
    assert decode_from_worker(encode(notice)) == notice


def test_before_any_welcome_it_keeps_trying_new_connections() -> None:
    desk = Desk()
    desk.step()
    desk.step(FIRST_PATIENCE + 1)
    assert desk.agent.session == 2


@given(st.binary(max_size=200))
def test_no_frame_can_crash_a_decoder(frame: bytes) -> None:
    for decode in (decode_from_worker, decode_from_dispatcher):
        try:
            message = decode(frame)
        except msgspec.DecodeError:
            continue
        assert decode(encode(message)) == message


@pytest.mark.parametrize("frame", [b"\x92\xa3Bye\xa2\xff\xfe", b"\x91" * 100_000, b""])
def test_frames_that_break_decoders_are_refused(frame: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_from_worker(frame)
    with pytest.raises(msgspec.DecodeError):
        decode_from_dispatcher(frame)
