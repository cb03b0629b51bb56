"""Shipped specifications in a jailed slot: what is prepared once, and what a program costs then."""

import pytest
from library_kit import specification

from elm.build import build_bundle
from elm.dispatch.portions import Portions
from environments.specification.environment import Specification
from sandbox.protocol import Status, Task
from sandbox.slot import Slot

INPUTS = {
    "cap_set": [3, 5],
    "admissible_set": [(6, 3), (6, 3, 3)],
    "bin_packing": [("uniform", 30, 1), ("weibull", 30, 1), (10, (3, 5, 6, 2))],
    "deletion_codes": [(7, 1), (4, 1, 3)],
    "cyclic_graphs": [(5, 2), (7, 3)],
}
# Fails if the graph is built for it: by its own process, or by nobody.
COUNTS = """
import sys
graph = sys.modules["specification"].conflict_graph
assert graph.cache_info().misses == graph.cache_info().currsize == {inputs}, graph.cache_info()
calls = 0
def priority(*args):
    global calls
    calls += 1
    assert graph.cache_info().misses == {inputs}, graph.cache_info()
    return {number}.0
"""


class OneSlot:
    """A dispatcher that executes a task when it is asked for results."""

    level = "L?"
    slots = 1

    def __init__(self, slot):
        self._slot, self._queue = slot, []

    def submit(self, tasks):
        self._queue += tasks

    def results(self, timeout):
        return [self._slot.evaluate(self._queue.pop(0))] if self._queue else []

    def acknowledge(self, candidates):
        list(candidates)


@pytest.fixture
def evaluate():
    """Programs of a specification in a slot of its own, one after the other."""
    slots = []

    def start(name, inputs, **settings):
        environment = Specification(path=name, inputs=inputs, **settings)
        bundle = build_bundle(environment)
        slots.append(Slot(bundle))
        slots[-1].start()
        portions = Portions(OneSlot(slots[-1]), environment)

        def go(source=None, number=1):
            (seed,) = environment.seeds()
            files = (
                seed.program.files if source is None else dict.fromkeys(seed.program.files, source)
            )
            portions.submit([Task(number, bundle.digest, files, seed=number)])
            while True:
                for evaluation in portions.results(0.0):
                    return evaluation

        return go

    yield start
    for slot in slots:
        slot.close()


@pytest.mark.parametrize("split", [1, "inputs"])
@pytest.mark.parametrize("name", INPUTS)
def test_the_shipped_function_in_a_slot_is_scored_as_outside(evaluate, name, split):
    module = specification(name)
    expected = [module.evaluate(params) for params in INPUTS[name]]
    found = evaluate(name, INPUTS[name], split=split)()
    assert found.status is Status.OK, found.detail
    assert found.verified
    assert list(found.scores.values()) == [one["score"] for one in expected]
    assert list(found.artifact["solutions"].values()) == [one["solution"] for one in expected]
    assert found.behaviour is not None


def test_the_conflict_graph_is_built_once_for_all_programs_of_a_slot(evaluate):
    inputs = [(7, 1), (8, 2)]
    go = evaluate("deletion_codes", inputs)
    for number in (1, 2, 3):
        found = go(COUNTS.format(inputs=len(inputs), number=number), number)
        assert found.status is Status.OK, found.detail


def test_the_graph_of_length_12_fits_into_a_slot(evaluate):
    go = evaluate("deletion_codes", [(12, 2)])
    found = go("def priority(*args):\n    return 0.0\n")
    assert (found.status, found.fitness) == (Status.OK, 29.0), found.detail


def test_the_excess_over_a_bound_is_found_beside_the_score(evaluate):
    go = evaluate("bin_packing", [(10, (6, 6, 6, 2))], descriptors={"excess": [0, 1, 5]})
    found = go("def priority(item, bins):\n    return bins\n")
    assert (found.fitness, found.status) == (-4.0, Status.OK), found.detail
    assert found.descriptor == (1.0,)
    assert found.metrics["excess"] == 1.0
