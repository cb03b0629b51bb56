"""Specifications that run in the judge's process, and programs that answer from their own."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elm.build import build_bundle
from elm.dispatch.portions import Portions
from environments.specification.environment import Specification
from environments.specification.wire import pack, unpack
from sandbox.protocol import Evaluation, Status, Task
from sandbox.slot import Slot

QUEUE = '''\
"""Choose numbers as they come; a good one has many digits 7."""
INPUTS = [[17, 4, 77, 12], [7, 70, 1]]
SECRET = "tail of what comes"


def evaluate(numbers):
    chosen = []
    for place, number in enumerate(numbers):
        if priority(number, tuple(chosen)) > 0:
            chosen.append(place)
    return sum(str(numbers[place]).count("7") - 0.5 for place in chosen), str(chosen)


def priority(number, chosen):
    return 1.0
'''


class OneSlot:
    """A dispatcher of a single slot, which executes as it is asked."""

    def __init__(self, bundle) -> None:
        self._slot, self._found, self.slots, self.level = Slot(bundle), [], 1, "L3"
        self._slot.start()

    def submit(self, tasks) -> None:
        self._found += [self._slot.evaluate(task) for task in tasks]

    def results(self, timeout):
        found, self._found = self._found, []
        return found

    def acknowledge(self, candidates) -> None: ...

    def close(self) -> None:
        self._slot.close()


@pytest.fixture
def evaluate(tmp_path):
    """Evaluates a program's function in a slot, by the whole environment."""
    fleets = []

    def go(function: str, text: str = QUEUE, **settings) -> Evaluation:
        file = tmp_path / "queue.py"
        file.write_text(text)
        environment = Specification(path=str(file), **{"apart": True, "f_min": -9.0} | settings)
        bundle = build_bundle(environment)
        fleets.append(OneSlot(bundle))
        portions = Portions(fleets[-1], environment)
        portions.submit([Task(5, bundle.digest, {"priority.py": function}, seed=1)])
        (found,) = portions.results(0.0)
        return found

    yield go
    for fleet in fleets:
        fleet.close()


def test_scores_are_those_of_a_program_beside_the_specification_but_verified(evaluate):
    clever = "def priority(number, chosen):\n    return float(str(number).count('7')) - 0.1\n"
    apart, beside = evaluate(clever), evaluate(clever, apart=False)
    assert apart.status is Status.OK, apart.detail
    assert (apart.fitness, apart.scores) == (beside.fitness, beside.scores)
    assert apart.fitness == (0.5 + 1.5 + 0.5 + 0.5) / 2
    assert (apart.descriptor, apart.behaviour) == (beside.descriptor, beside.behaviour)
    assert apart.verified and not beside.verified


FORGERIES = {
    "frames": """
import sys
def priority(number, chosen):
    frame = sys._getframe()
    while frame is not None:
        for name, value in list(frame.f_locals.items()) + list(frame.f_globals.items()):
            if isinstance(value, list):
                value.append(10**6)
        frame = frame.f_back
    return 1.0
""",
    "builtins": """
import builtins
builtins.sum = lambda values: 10**6
def priority(number, chosen):
    return 1.0
""",
    "entry": """
import sys
def priority(number, chosen):
    for module in list(sys.modules.values()):
        if hasattr(module, "evaluate"):
            module.evaluate = lambda numbers: (10**6, "x")
    return 1.0
""",
    "lying number": """
class Number(float):
    def __gt__(self, other): return True
    def __float__(self): return 1e6
def priority(number, chosen):
    return 1.0 if number != 77 else float(Number(1.0) > 0)
""",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_no_score_can_be_forged(evaluate, name):
    found = evaluate(FORGERIES[name])
    everything = (1 + 0 + 2 + 0 - 2 + 1 + 1 + 0 - 1.5) / 2
    assert found.status is not Status.OK or found.fitness == everything
    if name != "frames":  # its own process is what that breaks
        assert found.status is Status.OK


def test_a_programs_process_holds_neither_inputs_nor_what_is_done_with_answers(tmp_path):
    file = tmp_path / "queue.py"
    file.write_text(QUEUE)
    parts = Specification(path=str(file), apart=True).parts()
    for secret in ("17", "tail of what comes", "chosen.append"):
        assert secret not in json.dumps(parts["producer_settings"])
        assert secret in json.dumps(parts["judge_settings"])
    assert "environments.specification.evaluator" not in parts["producer"]["modules"]


def test_what_the_function_itself_uses_is_there(evaluate):
    text = QUEUE.replace("return 1.0", "return weight(number) - LEAST") + (
        "\n\nLEAST = 0.5\n\n\ndef weight(number):\n    return digits(number) / 1\n\n\n"
        "def digits(number):\n    return str(number).count('7')\n"
    )
    own = "def priority(number, chosen):\n    return weight(number) - LEAST\n"
    assert evaluate(own, text).fitness == (0.5 + 1.5 + 0.5 + 0.5) / 2


@pytest.mark.parametrize(
    ("answer", "status", "detail"),
    [
        ("'seven'", Status.BAD_RESULT, "'>' not supported"),
        ("None", Status.BAD_RESULT, "'>' not supported"),
        ("object()", Status.RUNTIME_ERROR, "cannot travel"),
        ("[1] * 10**7", Status.OUTPUT_LIMIT, "answers"),
        ("1 / 0", Status.RUNTIME_ERROR, "division by zero"),
        ("exec('while True: pass')", Status.TIMEOUT, "CPU"),
        ("__import__('os')._exit(0)", Status.RUNTIME_ERROR, "without a result"),
    ],
)
def test_what_is_no_answer(evaluate, answer, status, detail):
    found = evaluate(f"def priority(number, chosen):\n    return {answer}\n")
    assert found.status is status, found.detail
    assert detail in found.detail


@pytest.mark.parametrize(("number", "fitness"), [("inf", 0.75), ("-inf", 0.0), ("nan", 0.0)])
def test_numbers_that_are_not_finite_travel(evaluate, number, fitness):
    found = evaluate(f"def priority(number, chosen):\n    return float('{number}')\n")
    assert found.status is Status.OK, found.detail
    assert found.fitness == fitness


def test_chance_is_the_same_for_every_program(evaluate):
    text = QUEUE.replace("def evaluate", "import random\n\n\ndef evaluate").replace(
        "return sum(", "return random.random() + sum("
    )
    same = "def priority(number, chosen):\n    return 1.0\n"
    assert evaluate(same, text).fitness == evaluate(same, text).fitness


def test_an_argument_that_cannot_travel_is_named(evaluate):
    text = QUEUE.replace("priority(number, tuple(chosen))", "priority(number, iter(chosen))")
    found = evaluate("def priority(number, chosen):\n    return 1.0\n", text)
    assert found.status is Status.BAD_RESULT
    assert "a list_iterator cannot travel between processes" in found.detail


@pytest.mark.parametrize("wrong", [{"split": "inputs"}, {"failures": "skip"}])
def test_what_does_not_go_together(evaluate, wrong):
    with pytest.raises(ValueError, match=f"environment.{next(iter(wrong))} has no other value"):
        evaluate("", **wrong)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


def same(a, b):
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(map(same, a.values(), b.values()))
    return a == b


@given(plain)
def test_plain_data_travels(value):
    assert same(unpack(json.loads(json.dumps(pack(value), allow_nan=False))), value)


@pytest.mark.parametrize(
    "array",
    [np.arange(6).reshape(2, 3), np.array([0.5, np.inf]), np.zeros((0, 2), bool), np.int8(3)],
    ids=repr,
)
def test_arrays_travel(array):
    back = unpack(json.loads(json.dumps(pack(array), allow_nan=False)))
    if array.shape:
        assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert np.array_equal(back, array)


@given(st.recursive(st.none() | st.text() | st.integers() | st.floats(), lambda inner: (
    st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["float", "tuple", "set", "dict", "array", "x"]), inner, max_size=2)
), max_leaves=10))  # fmt: skip
def test_what_nobody_packed_is_refused_or_plain(value):
    try:
        unpack(value)
    except ValueError as error:
        assert "\n" not in str(error)
