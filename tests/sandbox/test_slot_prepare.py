"""What a slot prepares once, which program it gives to which portion."""

from __future__ import annotations

import pytest
from slot_bench import make_bundle

from sandbox.protocol import Code, Status, Task
from sandbox.slot import SandboxError, Slot

PRODUCER = """
shelf = []

def prepare(settings):
    if settings.get("broken"):
        raise ValueError("nothing to prepare")
    shelf.append(settings["size"])

def produce(files, settings):
    namespace = {"shelf": shelf, "portion": settings.get("portion")}
    exec(files["p.py"], namespace)
    return namespace["main"]()
"""


def bundle(**settings):
    code = Code("environments.number.producer", {"environments.number.producer": PRODUCER})
    return make_bundle(producer=code, producer_settings={"size": 40, **settings})


@pytest.fixture
def slot():
    made = Slot(bundle())
    made.start()
    yield made
    made.close()


def run(slot, source, portion=None):
    return slot.evaluate(Task(0, slot.bundle.digest, {"p.py": source}, 1, portion))


def test_prepared_once_and_never_changed_by_a_program(slot):
    spoil = "def main():\n    shelf.append(2)\n    return sum(shelf)"
    assert [run(slot, spoil).fitness for _ in range(3)] == [42.0] * 3


def test_a_program_is_told_its_portion(slot):
    asked = "def main():\n    return -1 if portion is None else portion"
    assert [run(slot, asked, portion).fitness for portion in (None, 0, 7)] == [-1.0, 0.0, 7.0]


def test_an_environment_that_cannot_prepare_does_not_start():
    made = Slot(bundle(broken=True))
    with pytest.raises(SandboxError, match="nothing to prepare"):
        made.start()
    made.close()


def test_status_of_a_good_program(slot):
    assert run(slot, "def main():\n    return shelf[0]").status is Status.OK
