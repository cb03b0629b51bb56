"""Inputs, their aggregation and the descriptors of a specification."""

from __future__ import annotations

import ast
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.artifact import BadArtifact
from environments.base import Outcome, Program
from environments.specification import aggregation, inputs
from environments.specification.environment import Specification

SPEC = """\
INPUTS = [(1, 2), (2, 2), (3, 2)]

def evaluate(params):
    return priority(params)

def priority(x):
    return 0.0
"""


@pytest.fixture
def build(tmp_path):
    def build(text=SPEC, **settings):
        path = tmp_path / "spec.py"
        path.write_text(text, encoding="utf-8")
        return Specification(str(path), **settings)

    return build


def test_ranges_that_are_zipped_and_crossed():
    ranges = {"n": [[5, 10], [7, 12]], "s": [1, 2], "q": 2}
    first = [(n, 1, 2) for n in range(5, 11)]
    second = [(n, 2, 2) for n in range(7, 13)]
    assert list(inputs.build(ranges, "zip", None).values) == first + second
    assert inputs.build({"n": [5, 6], "q": 2}, "zip", None).values == ((5, 2), (6, 2))
    crossed = inputs.build({"s": [1, 2], "n": [[3, 4], 9], "t": "a"}, "cross", None).values
    assert crossed == tuple((s, n, "a") for s in (1, 2) for n in (3, 4, 9))
    assert inputs.build({"q": 2, "t": None}, "zip", None).values == ((2, None),)


literals = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.lists(literals, min_size=1, max_size=8))
def test_inputs_of_a_constant_and_of_a_file_arrive_as_they_were_written(values):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "inputs.txt"
        lines = ["# first", "", *map(repr, values), "  # last"]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        for found in (inputs.build(None, "zip", values), inputs.build(str(file), "zip", None)):
            travelled = [ast.literal_eval(t) for t in json.loads(json.dumps(found.texts))]
            assert repr(travelled) == repr(values)
            assert len(set(found.labels)) == len(values)


def test_a_list_in_a_configuration_arrives_as_a_tuple():
    assert inputs.build([[4, 1], 5, "a", {"k": 1}], "zip", None).values == (
        (4, 1),
        5,
        "a",
        {"k": 1},
    )


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ([], "environment.inputs: there is none"),
        ({}, "environment.inputs: there is none"),
        (7, "environment.inputs must be a path, a list or a mapping"),
        ({"n": [1, 2], "s": [1, 2, 3]}, "equally long: n has 2, s has 3"),
        ({"n": [[5, 4]]}, r"environment.inputs.n: \[5, 4\] is empty"),
        ({"n": [[1, 2, 3]]}, "environment.inputs.n: expected a value or"),
        ({"n": [[1.5, 3]]}, "of whole numbers, got"),
        ({"n": [[0, 10**9]]}, "environment.inputs.n: .* is over 10000 values"),
        ({"n": [[1, 5000]], "s": [[1, 5000]]}, "10000 is the most"),
        ([math.nan], r"environment.inputs\[0\]: nan is not a literal"),
        ([1, object()], r"environment.inputs\[1\]: <object"),
        (list(range(10_001)), "10000 is the most"),
        ("/nowhere/inputs.txt", "cannot read /nowhere/inputs.txt"),
        (None, "the specification defines no INPUTS"),
    ],
)
def test_inputs_that_are_none_are_refused(wrong, told):
    with pytest.raises(ValueError, match=told) as error:
        inputs.build(wrong, "zip", None)
    assert str(error.value).startswith("environment.inputs") and "\n" not in str(error.value)


@pytest.mark.parametrize("line", ["(1, 2", "n + 1", "1 2", "print()", "1e999", "nan"])
def test_a_line_that_does_not_parse_is_named(tmp_path, line):
    file = tmp_path / "inputs.txt"
    file.write_text(f"(1, 2)\n\n# remark\n{line}\n")
    with pytest.raises(ValueError, match=r"inputs\.txt, line 4: "):
        inputs.build(str(file), "zip", None)


@given(st.integers(1, 60), st.integers(1, 60))
def test_portions_hold_each_input_once_and_cheap_ones_first(count, parts):
    dealt = inputs.deal(range(count), min(count, parts))
    assert [n for part in dealt for n in part] == list(range(count))
    sizes = [len(part) for part in dealt]
    assert min(sizes) >= 1 and max(sizes) - min(sizes) <= 1


def test_order_by_size_is_by_the_largest_number():
    found = inputs.build([(9, 1), (2, 3), [5], {"a": (1, 4)}, "text"], "zip", None)
    assert inputs.order_by_size(found) == [4, 1, 3, 2, 0]


RANGES = inputs.build({"n": [[5, 6], [7, 8]], "s": [1, 2]}, "zip", None)
PLAIN = inputs.build([1, 2, 3, 4], "zip", None)


def total(name, scores, of=RANGES, baseline=None, numbers=None):
    return aggregation.build(name, of, baseline)(numbers or range(len(scores)), scores)


def test_ways_to_aggregate():
    scores = [1.0, 2.0, 3.0, 5.0]
    assert total("last", scores) == (2 + 5) / 2  # n=6 of s=1, n=8 of s=2
    assert total("last", scores, PLAIN) == 5
    assert total("last", [1.0, 9.0, 4.0], inputs.build({"n": [1, 7, 3]}, "zip", None)) == 9
    assert total("average", scores) == 11 / 4
    assert total("min", scores) == 1
    assert total("weighted", scores) == pytest.approx((5 + 12 + 21 + 40) / 26)
    assert total("weighted", scores, PLAIN) == pytest.approx((1 + 4 + 9 + 20) / 10)
    assert total("relative_difference", scores, PLAIN, [2, -1, 3, 4]) == pytest.approx(
        ((1 - 2) / 2 + (2 + 1) / 1 + 0 + 1 / 4) / 4
    )
    by_text = {"5,1": 1, "(6, 1)": 2, "7, 2": 3, "(8,2)": 4}
    assert total("relative_difference", scores, RANGES, by_text) == pytest.approx(1 / 16)


def test_aggregates_of_those_inputs_that_succeeded():
    assert total("last", [1.0, 3.0], numbers=[0, 2]) == 2.0
    assert total("weighted", [1.0, 3.0], numbers=[0, 2]) == pytest.approx((5 + 21) / 12)
    assert total("relative_difference", [4.0], PLAIN, [1, 2, 3, 4], [3]) == 0


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_means_lie_between_the_scores(scores):
    of = inputs.build(list(range(len(scores))), "zip", None)
    for name in ("average", "weighted", "last", "min", "sum(scores) / len(scores)"):
        found = total(name, scores, of)
        slack = 1e-9 * max(map(abs, scores)) + 1e-12
        assert min(scores) - slack <= found <= max(scores) + slack


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=20))
def test_expressions_are_what_python_makes_of_them(scores):
    of = inputs.build(list(range(len(scores))), "zip", None)
    assert total("sum(sorted(scores)[:2]) + scores[-1] ** 2", scores, of) == (
        sum(sorted(scores)[:2]) + scores[-1] ** 2
    )
    weighted = "sum(n * x for n in inputs for x in scores if x >= 0)"
    assert total(weighted, scores, of) == sum(n * x for n in range(len(scores)) for x in scores)
    assert total("max(scores) if len(scores) > 99 else sqrt(abs(scores[0]))", scores, of) == (
        math.sqrt(scores[0])
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("meen(scores)", "unknown 'meen'"),
        ("averag", "did you mean 'average'"),
        ("scores +", "does not parse"),
        ("scores", "gives .*, not a number"),
        ("1.0", "does not use the scores"),
        ("scores.pop()", "holds a call of something else"),
        ("scores[0].real", "holds Attribute"),
        ("__import__('os').system('id') + scores[0]", "unknown '__import__'"),
        ("(lambda: scores)()", "holds a call of something else"),
        ("(scores := [1])[0]", "another scores"),
        ("[min for min in scores][0]", "another min"),
        ("sum(scores) + 9 ** 99", "holds a power"),
        ("max(scores, key=len)", "a name that is not reverse"),
        ("len('x') + scores[0]", "may hold numbers only"),
        ("scores[999]", "index out of range"),
        ("f'{scores}'", "holds JoinedStr"),
    ],
)
def test_expressions_that_are_none_are_refused(text, told):
    with pytest.raises(ValueError, match=told) as error:
        aggregation.build(text, PLAIN, None)
    assert str(error.value).startswith("environment.aggregate: ")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"aggregate": "relative_difference"}, "environment.baseline: .* needs one"),
        ({"aggregate": "average", "baseline": [1, 2, 3]}, "environment.baseline: only"),
        ({"aggregate": "relative_difference", "baseline": [1]}, "has 1 scores for 3 inputs"),
        ({"aggregate": "relative_difference", "baseline": [1, 0, 2]}, "0 is not a number other"),
        ({"aggregate": "relative_difference", "baseline": {"(1, 2)": 1}}, r"input \(2, 2\)"),
        (
            {"aggregate": "weighted", "inputs": {"n": [0, 1]}},
            "environment.inputs.n: 0 is no weight",
        ),
        (
            {"aggregate": "last", "inputs": {"n": ["a"]}},
            "environment.inputs.n: 'a' is not a number",
        ),
        ({"failures": "some"}, "environment.failures must be all, skip or a number"),
        ({"failures": math.nan}, "environment.failures"),
        ({"split": 0}, "environment.split"),
        ({"split": "all"}, "environment.split"),
        ({"order": "random"}, "environment.order"),
        ({"combine": "add"}, "environment.combine"),
        ({"evolve": "a b"}, "environment.evolve must be the name"),
        ({"f_min": 1, "f_max": 1}, "environment.f_max"),
        ({"descriptors": {"tree_size": [0, 1]}}, "environment.descriptors.tree_size: expected"),
        ({"descriptors": {"tree_size": [1, 1, 2]}}, "must be below"),
        ({"descriptors": {"tree_size": [0, 1, 0.5]}}, "cells must be a whole number"),
        ({"descriptors": {"score:3": [0, 1, 2]}}, "no position among 3 inputs"),
        ({"descriptors": {"tree size": [0, 1, 2]}}, "did you mean 'tree_size'"),
        ({"descriptors": {"names": {"low": 0, "high": 1}}}, "expected low, high and cells"),
    ],
)
def test_wrong_settings_are_named(build, settings, told):
    with pytest.raises(ValueError, match=told) as error:
        build(**settings)
    assert str(error.value).startswith("environment.") and "\n" not in str(error.value)


PROGRAM = Program({"priority.py": "def priority(x):\n    return 0.0\n"})


def ok(scores, metrics=None, marks=None, **more):
    hashes = marks if marks is not None else dict.fromkeys(scores, "h")
    behaviour = json.dumps(hashes)
    return Outcome(
        fitness=0.0,
        descriptor=(),
        scores=scores,
        metrics=metrics or {},
        behaviour=behaviour,
        **more,
    )


def test_descriptors_of_all_kinds(build):
    names = {"code_length": [0, 100, 10], "tree_size": {"low": 0, "high": 50, "cells": 5}}
    names |= {k: [0, 10, 10] for k in ("names", "score", "score:0", "score:-1", "size")}
    names |= {"signature": [0, 64, 64], "cpu_seconds": [0, 1, 5], "memory_mb": [0, 64, 4]}
    env = build(descriptors=names)
    assert [axis.name for axis in env.axes] == list(names) and not env.reproducible
    assert build().reproducible and [a.cells for a in build().axes] == [20, 15]
    whole = ok(
        {"0": 1.0, "1": 2.0, "2": 6.0},
        {"0:size": 4.0, "1:size": 6.0, "2:size": 5.0},
        cpu_seconds=0.5,
        peak_memory_mb=3.0,
    )
    found = env.conclude(PROGRAM, [whole])
    at = dict(zip(names, found.descriptor, strict=True))
    assert at["code_length"] == 31 and at["tree_size"] == 6 and at["names"] == 2
    assert (at["score"], at["score:0"], at["score:-1"], at["size"]) == (3.0, 1.0, 6.0, 5.0)
    assert (at["cpu_seconds"], at["memory_mb"]) == (0.5, 3.0)
    assert at["signature"] % 1 == 0.5 and 0 < at["signature"] < 64
    assert found.scores == {"(1, 2)": 1.0, "(2, 2)": 2.0, "(3, 2)": 6.0}
    other = env.conclude(PROGRAM, [ok({"0": 1.0, "1": 2.0, "2": 6.5}, whole.metrics)])
    assert other.descriptor[-3] != at["signature"]
    with pytest.raises(BadArtifact, match="returned no 'size'"):
        env.conclude(PROGRAM, [ok({"0": 1.0, "1": 2.0, "2": 6.0})])


@pytest.mark.parametrize(
    "outcome",
    [
        ok({"0": 1.0, "1": 2.0}),  # partial coverage
        ok({"0": 1.0, "1": 2.0, "3": 2.0}),
        ok({"0": 1.0, "1": 2.0, "2": 2.0, "-1": 9.0}),
        ok({"0": 1.0, "1": 2.0, "2": 2.0}, {"7:size": 1.0}),
        ok({"0": 1.0, "1": 2.0, "2": 2.0}, marks={"0": "a"}),
        ok({"0": 1.0, "1": 2.0, "2": 2.0}, marks={"0": "a", "1": 3, "2": "b"}),
        ok({"0": 1.0, "1": 2.0, "2": 2.0}, artifact={"solutions": {"9": 1}}),
        ok({"0": 1.0, "1": 2.0, "2": 2.0}, artifact="free text"),
        ok({}),
        Outcome(fitness=9.0, descriptor=(1.0,), scores={"0": 1.0, "1": 1.0, "2": 1.0}),
        Outcome(fitness=9.0, descriptor=(1.0,), scores={}, behaviour="[[[[["),
    ],
)
def test_forged_claims_are_bad_results(build, outcome):
    with pytest.raises(BadArtifact):
        build().conclude(PROGRAM, [outcome])


def test_hashes_become_one_and_none_stays_none(build):
    env = build(split="inputs")

    def behaviour(*marks):
        outcomes = [ok({str(n): 1.0}, marks={str(n): mark}) for n, mark in enumerate(marks)]
        return env.conclude(PROGRAM, outcomes).behaviour

    assert behaviour("a", "b", "c") == behaviour("a", "b", "c") != behaviour("b", "a", "c")
    assert behaviour("a", None, "c") is None
    whole = build().conclude(
        PROGRAM, [ok({"0": 1.0, "1": 1.0, "2": 1.0}, marks={"0": "a", "1": "b", "2": "c"})]
    )
    assert whole.behaviour == behaviour("a", "b", "c")


def test_policies_for_inputs_that_fail(build):
    late = Outcome(fitness=None, descriptor=None, status="timeout", detail="over 1 s")
    three = {"split": "inputs", "descriptors": {"score": [0, 9, 9]}}
    skip = build(failures="skip", **three)
    assert skip.tolerant and skip.portions == 3
    found = skip.conclude(PROGRAM, [ok({"0": 4.0}), late, ok({"2": 6.0})])
    assert found.fitness == 5.0 and found.metrics["failed_inputs"] == 1.0
    number = build(failures=-1, **three).conclude(PROGRAM, [ok({"0": 4.0}), late, ok({"2": 6.0})])
    assert number.fitness == 3.0 and number.scores["(2, 2)"] == -1.0
    for failures in ("skip", 7):
        none = build(failures=failures, **three).conclude(PROGRAM, [late, late, late])
        assert (none.status, none.detail) == ("timeout", "over 1 s")
        gone = Outcome(fitness=None, descriptor=None, status="lost")
        assert (
            build(failures=failures, **three).conclude(PROGRAM, [ok({"0": 4.0}), gone, gone])
            is gone
        )


def test_scores_that_come_to_no_number_are_bad_results(build):
    env = build(aggregate="log(scores[0]) / scores[1]")
    for first, second in ((0.0, 1.0), (-1.0, 1.0), (1.0, 0.0)):
        with pytest.raises(BadArtifact, match=r"environment\.aggregate"):
            env.conclude(PROGRAM, [ok({"0": first, "1": second, "2": 0.0})])
    with pytest.raises(BadArtifact, match="overflow"):
        build().conclude(PROGRAM, [ok({"0": 1e308, "1": 1e308, "2": math.inf})])
