"""Environments whose judge calls the program, and whose score comes from beside the program."""

import json

import pytest

import elm

ENVIRONMENT = """
from environments.base import Axis, Environment, Objective, Program, Seed

class Packing(Environment):
    name = "packing"
    axes = (Axis("bins", 0.0, 20.0, 20),)
    objective = Objective("fill", f_min=0.0)
    producer_modules = ("{package}.producer",)
    judge_modules = {judge!r}
    scoring = {scoring!r}

    def seeds(self):
        return [Seed("first", Program({{"priority.py": {seed!r}}}))]
"""
CALLS = """
def produce(files, settings):
    namespace = {}
    exec(files["priority.py"], namespace)
    return namespace["priority"]
"""
PACK = """
ITEMS = [7, 5, 4, 6, 3, 8, 2, 5, 9, 1]

def judge(ask, settings):
    bins = []
    for item in ITEMS:
        room = [index for index, load in enumerate(bins) if load + item <= 10]
        answers = ask([[item, 10 - bins[index]] for index in room])
        if room:
            bins[max(zip(answers, room))[1]] += item
        else:
            bins.append(item)
    return {"fitness": sum(ITEMS) / (10 * len(bins)), "descriptor": [len(bins)], "artifact": bins}
"""
CLAIM = """
def produce(files, settings):
    namespace = {}
    exec(files["priority.py"], namespace)
    value = namespace["priority"](7, 3)
    return {"fitness": 99.0, "descriptor": [1.0], "artifact": value}
"""
CHECK = """
def judge(artifact, settings):
    return {"fitness": float(artifact), "descriptor": [1.0]}
"""
SEED = "def priority(item, room):\n    return item - 2 * room + 30\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    def go(scoring, producer, judge):
        name = f"packing_{scoring}_{'judged' if judge else 'claimed'}"  # imported once for good
        package = tmp_path / name
        package.mkdir()
        modules = (f"{name}.judge",) if judge else ()
        text = ENVIRONMENT.format(package=name, judge=modules, scoring=scoring, seed=SEED)
        (package / "__init__.py").write_text("")
        (package / "environment.py").write_text(text)
        (package / "producer.py").write_text(producer)
        if judge:
            (package / "judge.py").write_text(judge)
        monkeypatch.syspath_prepend(tmp_path)
        return elm.run(
            environment={"name": "packing", "_target_": f"{name}.environment.Packing"},
            variation={"name": "syntax_tree"},
            dispatch={"name": "local", "slots": 1},
            budget={"evaluations": 40},
            run_dir=str(tmp_path / "runs"),
            report=False,
            view="none",
        )

    return go


def test_a_judge_that_calls_the_program(run):
    summary = run("calls", CALLS, PACK)
    assert summary["statuses"]["ok"] > 10, json.dumps(summary["statuses"])
    assert summary["best_fitness"] == pytest.approx(50 / 60)
    assert summary["verified"] is True


def test_a_claim_that_nobody_checks_is_called_unverified(run):
    summary = run("inside", CLAIM, None)
    assert summary["best_fitness"] == 99.0
    assert summary["verified"] is False


def test_a_claim_that_a_judge_checks(run):
    summary = run("inside", CLAIM, CHECK)
    assert 0 < summary["best_fitness"] != 99.0
    assert summary["verified"] is True
