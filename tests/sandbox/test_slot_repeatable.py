"""The same program gives the same artifact: in another child, another slot, after another."""

from __future__ import annotations

import msgspec
import pytest

from sandbox.protocol import Limits, Status, Task

CHANCE = """
import os, random, secrets, uuid
def main():
    import numpy as np
    words = {None, "a", "b", "c", (1, None), int, len}
    return [
        random.random(), random.Random().random(), random.SystemRandom().random(),
        secrets.token_hex(4), str(uuid.uuid4()), os.urandom(3).hex(),
        np.random.random(), np.random.default_rng().random(), np.random.RandomState().rand(),
        [str(word) for word in words], hash("text"), hash(None),
    ]
"""


@pytest.mark.parametrize("preload", [(), ("numpy",)])
def test_chance_comes_from_the_seed(make_slot, preload):
    limits = Limits(memory_mb=1000)  # numpy may come to lie in the program's own share
    first, second = (make_slot(preload=preload, limits=limits) for _ in range(2))
    artifacts = []
    for slot, before in ((first, ""), (second, "x = 1\n"), (first, ""), (first, "x = [0] * 999\n")):
        slot.start()
        task = Task(1, slot.bundle.digest, {"p.py": CHANCE}, 77)
        slot.evaluate(msgspec.structs.replace(task, files={"p.py": before + "def main(): pass"}))
        found = slot.evaluate(task)
        assert found.status is Status.BAD_RESULT, found  # our judge wants a number
        assert found.artifact is not None
        artifacts.append(found.artifact)
    assert artifacts[0] == artifacts[1] == artifacts[2] == artifacts[3]
    other = first.evaluate(Task(1, first.bundle.digest, {"p.py": CHANCE}, 78)).artifact
    assert all(a != b for a, b in zip(artifacts[0][:9], other[:9], strict=True))
