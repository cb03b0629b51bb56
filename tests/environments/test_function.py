"""The function environment: known values, normalisation and the folded descriptor."""

from __future__ import annotations

import json
import math
import random

import pytest

from environments.function import functions
from environments.function.environment import FUNCTIONS, Function
from environments.function.judge import judge
from environments.function.producer import produce

N = 10
OPTIMA = {"rosenbrock": 1.0 / 2.048, "schwefel": 420.968746 / 500.0}  # the others are moved


def score(name, vector):
    return judge(vector, {"function": name, "dimensions": len(vector)})


def test_both_sides_know_the_same_functions():
    assert tuple(functions.FUNCTIONS) == FUNCTIONS


@pytest.mark.parametrize("name", FUNCTIONS)
def test_optimum_scores_a_hundred_and_seeds_do_not(name):
    best = score(name, [OPTIMA.get(name, functions.SHIFT)] * N)
    assert best["fitness"] == pytest.approx(100.0, abs=1e-3)
    assert best["metrics"]["value"] == pytest.approx(0.0, abs=1e-3)
    for seed in Function(function=name).seeds():
        assert score(name, json.loads(seed.program.source))["fitness"] < 99.0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nothing_in_the_domain_is_worse_than_the_worst(name):
    rng = random.Random(1)
    corners = [[rng.choice((-1.0, 1.0)) for _ in range(N)] for _ in range(300)]
    inner = [[rng.uniform(-1, 1) for _ in range(N)] for _ in range(300)]
    for vector in [[-1.0] * N, [1.0] * N, *corners, *inner]:
        value, regret = functions.evaluate(name, vector)
        assert -1e-9 <= value <= functions.FUNCTIONS[name].worst(N)
        assert 0.0 <= regret <= 1.0


@pytest.mark.parametrize(
    ("name", "x", "value"),
    [
        ("sphere", [1.0, 2.0], 5.0),
        ("rastrigin", [1.0, 2.0], 5.0),
        ("rastrigin", [0.5, 0.0], 20.25),
        ("rosenbrock", [0.0, 0.0], 1.0),
        ("rosenbrock", [-1.0, 1.0], 4.0),
        ("ackley", [1.0, 1.0], 20.0 - 20.0 * math.exp(-0.2)),
        ("griewank", [math.pi, 0.0], 2.0 + math.pi**2 / 4000.0),
        ("schwefel", [0.0, 0.0], 837.965774544867),
    ],
)
def test_known_values(name, x, value):
    assert functions.FUNCTIONS[name].value(x) == pytest.approx(value, abs=1e-9)


def test_descriptor_folds_what_leaves_the_domain():
    scores = score("sphere", [0.5, 1.0, -0.5, -2.0])
    assert scores["descriptor"] == [0.75, -0.5]
    outside = score("sphere", [4.0, 4.0, 4.0, 4.0])
    assert outside["descriptor"] == [0.25, 0.25]
    assert outside["fitness"] == score("sphere", [1.0] * 4)["fitness"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "must have 10 numbers, got 2"),
        ("{}", "must be a list of numbers, got dict"),
        ("[NaN, 0, 0, 0, 0, 0, 0, 0, 0, 0]", "between -1e\\+06 and 1e\\+06"),
        ("[1e999, 0, 0, 0, 0, 0, 0, 0, 0, 0]", "between -1e\\+06 and 1e\\+06"),
        ('["1", 0, 0, 0, 0, 0, 0, 0, 0, 0]', "numbers only, got str"),
        ("[true, 0, 0, 0, 0, 0, 0, 0, 0, 0]", "numbers only, got bool"),
        ("[1, ", "Expecting value"),
    ],
)
def test_producer_explains(text, message):
    with pytest.raises(ValueError, match=message):
        produce({"vector.json": text}, Function().producer_settings())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"function": "banana"}, "environment.function must be one of sphere, rastrigin"),
        ({"dimensions": 1}, "environment.dimensions must be between 2 and 1000, got 1"),
        ({"dimensions": "many"}, "environment.dimensions must be a whole number, got 'many'"),
        ({"cells": True}, "environment.cells must be a whole number, got True"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError) as error:
        Function(**settings)
    assert str(error.value).startswith(message)
