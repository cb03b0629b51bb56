"""Runs of specifications with the real command: what a user would type, and what goes wrong."""

from __future__ import annotations

import json
import sqlite3

import pytest

SPEC = '''\
"""Pick numbers below n that add up to much, no two of them next to each other."""
import funsearch


@funsearch.run
def evaluate(params):
    n, step = params
    chosen = []
    for number in sorted(range(0, n, step), key=lambda x: -priority(x, n)):
        if number - 1 not in chosen and number + 1 not in chosen:
            chosen.append(number)
    print("printed", n)
    return {"score": sum(chosen), "hash": str(chosen), "solution": chosen}


@funsearch.evolve
def priority(x, n):
    """The larger, the sooner `x` is taken."""
    return 1.0 * (x % 4) + 0.5


def check(params, solution):
    if any(type(x) is not int or not 0 <= x < params[0] or x + 1 in solution for x in solution):
        raise ValueError("not what was asked for")
    if len(set(solution)) < len(solution):
        raise ValueError("a number twice")
    return sum(solution)
'''
CHEAP = ("environment=specification", "dispatch.slots=1", "view=plain", "report=false")


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "numbers.py"
    path.write_text(SPEC)
    return path


def test_a_run_of_ones_own_specification(elm, spec):
    best = sum(range(1, 8, 2)) + sum(range(0, 11, 2)) + sum(range(1, 12, 2))
    elm(
        *CHEAP, f"environment.path={spec}", "environment.inputs={n: [8, 11, 12], step: 1}",
        'environment.aggregate="sum(scores)"', "environment.split=2", "run_name=own",
        r"environment.descriptors={score\:-1: [0, 36, 12], tree_size: [0, 80, 8]}",
        "budget.evaluations=400", f"budget.fitness={best}",
    )  # fmt: skip
    found = elm.summary("own")
    assert found["verified"] is True and found["statuses"]["ok"] > 5
    assert found["best_fitness"] == best and found["ending"] == "budget.fitness"
    assert found["same_behaviour"] > 0
    db = sqlite3.connect(elm.runs / "own" / "journal.db")
    (row,) = db.execute("SELECT data FROM evaluations WHERE candidate = 0").fetchone()
    db.close()
    first = json.loads(row)
    assert set(first["scores"]) == {"(8, 1)", "(11, 1)", "(12, 1)"} and first["behaviour"]
    assert first["logs"] == "printed 8\nprinted 11\nprinted 12\n"
    assert list((elm.runs / "own" / "elites").iterdir())


@pytest.mark.slow
def test_a_run_in_portions_is_the_same_as_in_one(elm, spec):
    for split, slots in (("1", 1), ("inputs", 2)):
        elm(
            *CHEAP, f"environment.path={spec}", "environment.inputs=[[8,1],[9,1],[10,1]]",
            f"environment.split={split}", f"dispatch.slots={slots}", "budget.evaluations=40",
            f"run_name=split-{split}",
        )  # fmt: skip
    whole, parts = elm.summary("split-1"), elm.summary("split-inputs")
    assert whole["cells"] > 1
    for key in ("best_fitness", "cells", "qd_score", "statuses"):
        assert whole[key] == parts[key], key


def test_a_run_by_the_python_interface_with_values_of_python(tmp_path, spec):
    import elm

    found = elm.run(
        environment={"name": "specification", "path": str(spec), "inputs": [(8, 1), (12, 2)]},
        variation={"name": "syntax_tree"},
        dispatch={"name": "local", "slots": 1},
        budget={"evaluations": 10},
        run_dir=str(tmp_path / "runs"),
        report=False,
        view="none",
    )
    assert found["verified"] is True and found["evaluations"] == 10


@pytest.mark.slow
def test_another_specification_does_not_resume_a_run(elm, spec):
    words = (
        *CHEAP, f"environment.path={spec}", "environment.inputs=[[8,1]]", "run_name=again",
    )  # fmt: skip
    elm(*words, "budget.evaluations=5")
    elm(*words, "budget.evaluations=10", "resume=true")
    spec.write_text(SPEC.replace("return sum(solution)", "return 2 * sum(solution)"))
    done = elm(*words, "budget.evaluations=15", "resume=true", code=1)
    assert "environment.version" in done.stderr


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ((), "environment.path must name a file"),
        (("environment.path=cap_sat",), "did you mean 'cap_set'?"),
        (("environment.path={spec}",), "the specification defines no INPUTS"),
        (
            ("environment.path={spec}", "environment.inputs={spec}"),
            "numbers.py, line 2: 'import funsearch' is not one Python literal",
        ),
        (
            ("environment.path={spec}", "environment.inputs=[1]", "environment.agregate=min"),
            "did you mean 'environment.aggregate'?",
        ),
        (
            ("environment.path={broken}", "environment.inputs=[1]"),
            "broken.py, line 3: imports nothing_like_it, which is not installed",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line_before_the_run(elm, spec, tmp_path, settings, told):
    broken = tmp_path / "broken.py"
    broken.write_text(
        SPEC.replace("import funsearch\n", "import funsearch\nimport nothing_like_it\n")
    )
    words = [word.format(spec=spec, broken=broken) for word in settings]
    done = elm(*CHEAP, *words, "budget.evaluations=5", code=2)
    assert told in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not elm.runs.exists()


def test_a_run_whose_seed_never_ends_tells_of_it(elm, spec):
    spec.write_text(SPEC.replace("    chosen = []", "    while True:\n        pass"))
    done = elm(
        *CHEAP, f"environment.path={spec}", "environment.inputs=[[8,1]]", "run_name=endless",
        "+environment.limits.cpu_seconds=0.3", "budget.evaluations=3", code=1,
    )  # fmt: skip
    assert "timeout" in done.stderr + done.stdout
