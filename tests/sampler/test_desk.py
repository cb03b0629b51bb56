"""The run's side of the protocol, step by step."""

import msgspec
import pytest
from sampler_simulator import JOB, part, proposals

from elm.sampler.desk import Desk, Hand
from elm.sampler.messages import (
    Ack,
    Beat,
    Bye,
    Done,
    Hello,
    Introduce,
    Leave,
    Pulse,
    SamplerState,
    Welcome,
)


def hello(life="a", name="north", session=1, identity="", elm="", protocol=1, lanes=1):
    return Hello(life, session, name, 7, lanes, identity, elm, protocol)


def beat(seq, holding=(), state=SamplerState.READY, lanes=1, run="run", detail=""):
    return Beat(run, seq, state, detail, lanes, tuple(holding))


@pytest.fixture
def desk():
    return Desk("run", JOB, heartbeat=1.0, patience=4.0, parts=2)


def join(desk, peer=b"a", life="a", name="north", lanes=1, now=0.0):
    desk.receive(peer, hello(life, name), now)
    desk.receive(peer, beat(1, lanes=lanes), now)
    return [message for _, message in desk.step(now) if not isinstance(message, Welcome)]


def hands(desk, now=0.0):
    return [(peer, m) for peer, m in desk.step(now) if isinstance(m, Hand)]


def test_who_says_hello_is_told_what_to_build(desk):
    desk.receive(b"a", hello(), 0.0)
    ((peer, message),) = desk.step(0.0)
    assert peer == b"a" and message == Welcome("run", JOB, 1.0, 4.0)


def test_who_is_not_known_is_asked_who_it_is(desk):
    desk.receive(b"a", beat(1), 0.0)
    assert desk.step(0.0) == [(b"a", Introduce())]


def test_parts_go_to_whoever_is_free_in_their_order(desk):
    desk.submit([part(n) for n in range(5)])
    desk.seat("local", 1)
    join(desk, b"a", "a", "north", lanes=2)
    desk.receive(b"b", hello("b", "south"), 0.0)  # still loading
    assert desk.step(0.0)
    assert desk.queued == 2 * 2  # orders: three of five parts are being made
    assert [s["making"] for s in desk.status()] == [1, 2, 0]
    assert [p.index for p in desk.withdraw()] == [0, 1] and desk.queued == 0


def test_what_the_silent_had_goes_to_others_before_anything_later(desk):
    desk.submit([part(0), part(1)])
    (hand,) = join(desk)
    desk.step(1.5)
    desk.receive(b"b", hello("b", "south"), 3.0)
    desk.receive(b"b", beat(1), 3.0)
    assert [m.part for _, m in hands(desk, 3.0)] == [part(1)]
    desk.receive(b"b", Done("run", 2, proposals(part(1)), 0.1), 4.5)
    assert [m.part for _, m in hands(desk, 4.5)] == [part(0)]
    assert any("north silent for 4 s; others make what it had (1 part)" in n for n in desk.notices)
    # It continues, and says what it has made meanwhile.
    desk.receive(b"a", Done("run", hand.lease, proposals(part(0)), 0.1), 5.0)
    assert (b"a", Introduce()) in desk.step(5.0)
    desk.receive(b"a", hello(), 5.1)
    desk.receive(b"a", beat(2, [hand.lease]), 5.2)
    assert (b"a", Ack("run", (hand.lease,))) in desk.step(5.2)
    assert [f.part for f in desk.collect()] == [part(1)]
    desk.receive(b"a", Done("run", hand.lease, proposals(part(0)), 0.1), 5.3)
    assert desk.collect() == [] and desk.counts["stale"] == 1


def test_what_is_said_twice_counts_once(desk):
    desk.submit([part(0)])
    (hand,) = join(desk)
    done = Done("run", hand.lease, proposals(part(0)), 0.1)
    for _ in range(2):
        desk.receive(b"a", done, 1.0)
        assert (b"a", Ack("run", (hand.lease,))) in desk.step(1.0)
    assert [f.sampler for f in desk.collect()] == ["north"]


def test_what_was_for_another_life_of_the_run_is_dropped(desk):
    desk.submit([part(0)])
    (hand,) = join(desk)
    desk.receive(b"a", Done("older", hand.lease, proposals(part(0)), 0.1), 1.0)
    assert desk.collect() == []
    assert (b"a", Ack("older", (hand.lease,))) in desk.step(1.0)


def test_what_was_lost_on_its_way_is_sent_again(desk):
    desk.submit([part(0)])
    (hand,) = join(desk)
    desk.receive(b"a", beat(2), 1.0)
    assert hands(desk, 1.0) == []
    desk.receive(b"a", beat(3), 3.0)
    assert hands(desk, 3.0) == [(b"a", hand)]


def test_a_run_that_was_stopped_itself_blames_nobody(desk):
    desk.submit([part(0)])
    join(desk)
    assert all(isinstance(message, Pulse) for _, message in desk.step(60.0))
    assert desk.knows("a")


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (hello(elm="9.9"), "is elm 9.9 (protocol 1), this run  (protocol 1)"),
        (hello(protocol=9), "protocol 9"),
        (hello(identity="another"), "other settings than this run"),
    ],
)
def test_who_cannot_belong_to_the_run_is_told_why(desk, told, why):
    desk.receive(b"a", told, 0.0)
    ((_, message),) = desk.step(0.0)
    assert isinstance(message, Bye) and message.refused and why in message.reason
    assert desk.notices and not desk.knows("a")


def test_who_sends_what_is_no_message_has_to_go(desk):
    desk.submit([part(0)])
    join(desk)
    for _ in range(3):
        desk.garbled(b"a", 1.0)
    assert any(isinstance(m, Bye) and m.refused for _, m in desk.step(1.0))
    assert desk.queued == 2 and not desk.knows("a")
    desk.receive(b"a", hello(), 2.0)
    assert any(isinstance(m, Bye) for _, m in desk.step(2.0)), "it may not come back as it was"


def test_proposals_that_do_not_fit_the_part_are_a_fault(desk):
    desk.submit([part(0)])
    (hand,) = join(desk)
    desk.receive(b"a", Done("run", hand.lease, proposals(part(0))[:1], 0.1), 1.0)
    assert desk.collect() == [] and desk.counts["stale"] == 0
    assert [m.part for _, m in hands(desk, 1.0)] == [part(0)]


def test_an_operator_that_breaks_is_tried_elsewhere_before_the_run_ends(desk):
    desk.submit([part(0)])
    (hand,) = join(desk)
    desk.receive(b"a", Done("run", hand.lease, (), 0.1, "Traceback\nOSError: no space"), 1.0)
    assert desk.collect() == [] and not desk.knows("a")
    assert any("its operator broke: OSError: no space" in line for line in desk.notices)
    (again,) = join(desk, b"b", "b", "south", now=2.0)[-1:]
    desk.receive(b"b", Done("run", again.lease, (), 0.1, "OSError: no space"), 3.0)
    (finished,) = desk.collect()
    assert finished.part == part(0) and "south: OSError" in str(finished.error)


def test_who_is_released_gets_nothing_more(desk):
    join(desk)
    desk.release("a")
    assert (b"a", Leave()) in desk.step(0.1)
    desk.submit([part(0)])
    assert hands(desk, 0.2) == []
    assert (b"a", Leave()) in desk.step(1.5), "said again, should it have been lost"


def test_two_of_one_name_are_told_apart_and_one_started_anew_replaces_the_silent(desk):
    join(desk, b"a", "a")
    join(desk, b"b", "b")
    desk.step(1.8)
    assert [s["name"] for s in desk.status()] == ["north", "north#2"]
    desk.receive(b"b", beat(2), 3.5)
    desk.receive(b"c", hello("c"), 3.5)
    assert {s["life"]: s["name"] for s in desk.status()} == {"b": "north#2", "c": "north"}


def test_a_person_is_told_where_samplers_would_idle_and_where_there_is_none(desk):
    desk.submit([part(0)])
    desk.step(0.0)
    desk.step(4.0)
    desk.step(8.0)
    assert any("no sampler is up" in line for line in desk.notices)
    join(desk, lanes=3, now=8.5)
    assert any("only 2 can be under way: raise lookahead" in line for line in desk.notices)


def test_nothing_of_a_message_is_taken_that_is_not_what_it_should_be():
    from elm.sampler.messages import decode_from_sampler, encode

    frame = encode(Done("run", 1, proposals(part(0)), 0.1))
    assert decode_from_sampler(frame) == Done("run", 1, proposals(part(0)), 0.1)
    for wrong in (b"", b"\xc1", frame[:-1], b"\x93" * 100_000, msgspec.msgpack.encode(["Done", 1])):
        with pytest.raises(msgspec.DecodeError):
            decode_from_sampler(wrong)
