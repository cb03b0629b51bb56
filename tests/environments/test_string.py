"""The string environment: likeness to a target that only the judge knows."""

from __future__ import annotations

import random

import pytest

from environments.string.environment import String
from environments.string.judge import judge, levenshtein
from environments.string.producer import produce

SETTINGS = String().judge_settings()


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("ab", "ba", 2)],
)
def test_known_distances(a, b, distance):
    assert levenshtein(a, b) == levenshtein(b, a) == distance


def test_distance_is_a_metric():
    rng = random.Random(0)
    words = ["".join(rng.choice("ab ") for _ in range(rng.randint(0, 9))) for _ in range(15)]
    for a in words:
        for b in words:
            assert (levenshtein(a, b) == 0) == (a == b)
            for c in words:
                assert levenshtein(a, c) <= levenshtein(a, b) + levenshtein(b, c)


def test_fitness_and_descriptor():
    scores = judge(SETTINGS["target"], SETTINGS)
    assert (scores["fitness"], scores["descriptor"]) == (1.0, [17.0, 13.0])
    assert judge("", SETTINGS) == {
        "fitness": 0.0,
        "descriptor": [0.0, 0.0],
        "metrics": {"distance": 17.0},
    }
    assert judge("quality", SETTINGS)["fitness"] == pytest.approx(7 / 17)
    assert judge("z" * 34, SETTINGS)["fitness"] == 0.0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("7", "must return a string, got int"),
        ("'a' * 1001", "at most 1000 characters, got 1001"),
        (r"'a\nb'", "one line of printable characters"),
        (r"'\ud800'", "one line of printable characters"),
    ],
)
def test_producer_explains(value, message):
    with pytest.raises(ValueError, match=message):
        produce({"string.py": f"def make_string():\n    return {value}\n"}, {})


@pytest.mark.parametrize("target", ["", "x" * 48, "two\nlines", 7, None])
def test_impossible_targets_are_refused_by_name(target):
    with pytest.raises(ValueError, match=r"^environment\.target must"):
        String(target=target)


def test_nobody_but_the_judge_is_told_the_target():
    env = String(target="a secret")
    told = [*env.prompt.instruction.split(), env.prompt.preamble, str(env.producer_settings())]
    assert "secret" not in " ".join(told)
