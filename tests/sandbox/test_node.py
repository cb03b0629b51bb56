"""A node and its desk, with slots that execute nothing: places, queues, trouble, ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from sandbox.bundles import script_bundle
from sandbox.desk import Closed, Desk, Full, NotStarted
from sandbox.keys import KeyPair
from sandbox.node import Node, NodeDraining, NodeFull
from sandbox.protocol import Bundle, Evaluation, Limits, Status, Task
from sandbox.turnstile import Turnstile

NOWHERE = "tcp://127.0.0.1:9"


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class World:
    """Makes slots, and knows what they do."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.refusal = ""
        self.lose = 0  # so many programs
        self.open: list[Slot] = []
        self.running = self.most = 0
        self.lock = threading.Lock()

    def make(self, bundle: Bundle, index: int) -> Slot:
        return Slot(self, bundle)


class Slot:
    level = "L2"
    blameless = False

    def __init__(self, world: World, bundle: Bundle) -> None:
        self.world, self.bundle = world, bundle
        self.pids: dict[str, int] = {}

    def start(self) -> None:
        if self.world.refusal:
            raise RuntimeError(self.world.refusal)
        if self not in self.world.open:
            self.world.open.append(self)

    def evaluate(self, task: Task) -> Evaluation:
        world = self.world
        with world.lock:
            world.running += 1
            world.most = max(world.most, world.running)
            lost = world.lose > 0
            world.lose -= lost
        world.gate.wait(30)
        with world.lock:
            world.running -= 1
        status = Status.LOST if lost else Status.OK
        return Evaluation(candidate=0, status=status, artifact=task.files["a"])

    def close(self) -> None:
        if self in self.world.open:
            self.world.open.remove(self)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make_node(world: World) -> Iterator[Callable[..., Node]]:
    made: list[Node] = []

    def make(slots: int = 2, **more: object) -> Node:
        made.append(Node("here", slots, "L2", KeyPair.new(), make_slot=world.make, **more))
        return made[-1]

    yield make
    world.gate.set()
    for node in made:
        node.close()
    assert not world.open, "every slot is closed in the end"


@pytest.fixture
def make_desk(world: World) -> Iterator[Callable[..., Desk]]:
    made: list[Desk] = []

    def make(slots: int = 2, most: int = 8, **more: object) -> Desk:
        made.append(Desk(world.make, Turnstile(slots), slots=slots, most=most, **more))
        return made[-1]

    yield make
    world.gate.set()
    for desk in made:
        desk.close()
    assert not world.open, "every slot is closed in the end"


def bundle(number: int = 0) -> Bundle:
    return script_bundle(Limits(cpu_seconds=1.0 + number))


class Asked:
    """Evaluations that are asked for side by side."""

    def __init__(self, desk: Desk, count: int) -> None:
        self.found: list[object] = []
        self._desk = desk
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def _ask(self, number: int) -> None:
        try:
            self.found.append(self._desk.evaluate(bundle(), {"a": str(number)}).artifact)
        except Exception as error:
            self.found.append(type(error))

    def join(self) -> list[object]:
        for thread in self._threads:
            thread.join()
        return self.found


def test_the_desk_answers_each_with_its_own_result(world: World, make_desk):
    asked = Asked(make_desk(), 8)
    assert sorted(asked.join()) == [str(n) for n in range(8)]
    assert world.most <= 2


def test_the_desk_takes_no_more_than_it_may(world: World, make_desk):
    desk = make_desk(most=3)
    world.gate.clear()
    asked = Asked(desk, 3)
    wait_until(lambda: desk.open == 3)
    with pytest.raises(Full, match="3 evaluations"):
        desk.evaluate(bundle(), {"a": "x"})
    world.gate.set()
    assert len(asked.join()) == 3
    assert desk.evaluate(bundle(), {"a": "x"}).artifact == "x"


def test_only_the_bundles_used_last_stay_warm(world: World, make_desk):
    desk = make_desk(kept=2)
    for number in (0, 1, 0, 2):
        desk.evaluate(bundle(number), {"a": ""})
    wait_until(lambda: len(world.open) == 2)
    assert {slot.bundle.digest for slot in world.open} == {bundle(0).digest, bundle(2).digest}
    assert desk.bundles == 2
    desk.tend(time.monotonic() + 1000)
    wait_until(lambda: not world.open)
    assert desk.bundles == 0
    assert desk.evaluate(bundle(0), {"a": "again"}).artifact == "again"


def test_a_lost_program_is_tried_again_but_not_for_ever(world: World, make_desk):
    desk = make_desk()
    world.lose = 2
    assert desk.evaluate(bundle(), {"a": "x"}).status is Status.OK
    world.lose = 3
    assert desk.evaluate(bundle(), {"a": "x"}).status is Status.LOST


def test_a_bundle_that_does_not_start_is_told_and_forgotten(world: World, make_desk):
    desk = make_desk()
    world.refusal = "needs Box2D"
    with pytest.raises(NotStarted, match="needs Box2D"):
        desk.evaluate(bundle(), {"a": ""})
    world.refusal = ""
    assert desk.evaluate(bundle(), {"a": "x"}).artifact == "x"


def test_who_waits_at_a_desk_that_closes_is_told(world: World, make_desk):
    desk = make_desk(slots=1)
    world.gate.clear()
    asked = Asked(desk, 4)
    wait_until(lambda: desk.open == 4)
    desk.refuse("draining")
    with pytest.raises(Closed, match="draining"):
        desk.evaluate(bundle(), {"a": ""})
    threading.Timer(0.2, world.gate.set).start()
    desk.close()
    assert asked.join() == [Closed] * 4


def test_a_run_is_attached_once(make_node):
    node, key, other = make_node(), KeyPair.new().public, KeyPair.new().public
    first = node.attach("run", NOWHERE, key)
    assert node.attach("run", NOWHERE, key) == first
    moved = node.attach("run", "tcp://127.0.0.1:10", key)
    assert moved.worker != first.worker
    assert node.attach("run", "tcp://127.0.0.1:10", other).worker != moved.worker
    assert (first.node, first.slots, first.public_key) == ("here", 2, node.keys.public)
    (told,) = node.status("1").runs
    assert (told.run, told.address, told.joined) == ("run", "tcp://127.0.0.1:10", False)
    assert node.detach("run")
    assert not node.detach("run")


def test_a_full_node_takes_a_run_once_another_has_gone(make_node):
    node, key = make_node(runs=2), KeyPair.new().public
    for run in ("one", "two"):
        node.attach(run, NOWHERE, key)
    with pytest.raises(NodeFull):
        node.attach("three", NOWHERE, key)
    node.attach("one", NOWHERE, key)
    node.detach("one")
    assert node.attach("three", NOWHERE, key).node == "here"


def test_a_silent_run_is_dropped_and_may_come_again(make_node):
    node, key = make_node(forget=0.3), KeyPair.new().public
    first = node.attach("run", NOWHERE, key)
    wait_until(lambda: node.serving == 0)
    assert node.attach("run", NOWHERE, key).worker != first.worker


def test_a_node_that_joined_does_not_give_up(make_node):
    node, key = make_node(forget=0.2), KeyPair.new().public
    node.join(NOWHERE, key)
    wait_until(lambda: node.serving == 1)
    time.sleep(0.5)
    (told,) = node.status("1").runs
    assert (told.joined, told.run, told.address) == (True, "", NOWHERE)


def test_a_drain_waits_for_what_is_open(world: World, make_node):
    node, ended = make_node(), threading.Event()
    world.gate.clear()
    asked = Asked(node.desk, 2)
    wait_until(lambda: node.desk.open == 2)
    node.drain(ended.set)
    with pytest.raises(NodeDraining):
        node.attach("run", NOWHERE, KeyPair.new().public)
    assert not node.drained.wait(0.6)
    world.gate.set()
    assert ended.wait(30)
    assert node.drained.is_set()
    assert sorted(asked.join()) == ["0", "1"]


def test_health_is_found_by_starting_a_slot(world: World, make_node):
    node = make_node()
    assert node.fault() == ""
    world.refusal = "no\nnamespaces"
    assert node.fault() == "", "what was found a moment ago still counts"
    assert node.fault_now() == "no namespaces"
    world.refusal = ""
    assert node.fault_now() == ""
