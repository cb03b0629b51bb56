"""`elm.evolve` as a notebook uses it."""

from __future__ import annotations

import functools
import linecache
import math
import subprocess
import sys
from pathlib import Path

import pytest

import elm
from elm.config import ConfigError
from elm.pipeline import RunError

EXAMPLE = Path(__file__).parents[2] / "examples" / "evolve_function.py"
FACTOR = 3


def double(x):
    """Comes near three times x."""
    return x * 2.0


def near(outputs, inputs):
    return {"fitness": -sum(abs(y - 3 * x) for x, y in zip(inputs, outputs, strict=True))}


def total(outputs):
    return sum(outputs)


@pytest.fixture
def evolve(tmp_path):
    def go(function=double, **settings):
        rest = {"score": near, "inputs": [1.0, 2.0], "evaluations": 60, "f_min": -100.0}
        quiet = {"view": "none", "report": False, "run_dir": str(tmp_path)}
        return elm.evolve(function, **(quiet | rest | settings))

    return go


def test_a_function_gets_better_and_the_same_seed_gives_the_same(evolve):
    first, again, other = evolve(seed=1), evolve(seed=1), evolve(seed=2)
    assert first.fitness > -3.0 and first.fitness == first.best.evaluation.fitness
    assert first.program.startswith("def double(x):") and first.program != other.program
    assert first.summary["archive_sha256"] == again.summary["archive_sha256"]
    assert first.summary["verified"] is True and first.summary["evaluations"] == 60
    assert len(first.elites) == first.summary["cells"] and first.folder != again.folder
    assert str(first.folder) in repr(first) and first.program in repr(first)


@pytest.mark.slow
def test_the_example_has_at_most_fifteen_lines_and_runs(tmp_path):
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 15
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    fitness = float(done.stdout.partition("Result(fitness=")[2].partition(",")[0])
    assert fitness > -0.5  # the first program has -2.98


def test_inputs_and_outputs_travel_as_they_are(evolve):
    text = "def f(*parts):\n    return [parts, {'n': len(parts)}]\n"
    score = """
    def score(outputs, inputs):
        assert outputs == [[[1, [2, None]], {"n": 2}], [["x"], {"n": 1}], [[], {"n": 0}]], outputs
        assert inputs == [(1, (2, None)), "x", ()], inputs
        return {"score": 4, "length": len(outputs)}
    """
    result = evolve(text, score=score, inputs=[(1, (2, None)), "x", ()], evaluations=1)
    assert result.fitness == 4.0
    assert result.best.evaluation.metrics == {"length": 3.0}


def test_without_inputs_the_score_sees_the_one_output(evolve):
    result = evolve("def f():\n    return 7\n", score="def s(x):\n    return x", inputs=None,
                    evaluations=1)  # fmt: skip
    assert result.fitness == 7.0


@pytest.mark.slow
def test_descriptors_may_be_numbers_of_the_score(evolve):
    result = evolve(
        score="def s(y):\n    return {'fitness': y[0], 'gap': y[1] - y[0]}",
        descriptors={"gap": [-10, 10, 20], "code_length": [0, 500, 5]},
        f_min=-1e6,
    )
    assert result.summary["cells_total"] == 100 and len(result.elites) > 1
    assert result.best.evaluation.descriptor[0] == result.best.evaluation.metrics["gap"]


@pytest.mark.slow
def test_a_preamble_serves_function_and_score(evolve):
    def scaled(x):
        return np.asarray([x, x]) * FACTOR  # noqa: F821

    result = evolve(
        scaled,
        score="def s(y):\n    return float(np.sum(y))",
        preamble="import numpy as np\nFACTOR = 3",
        evaluations=3,
    )
    assert result.fitness >= 18.0


def test_programs_cannot_reach_the_score(evolve):
    """A hostile function finds the settings of its own side (the control), and no others."""
    spy = """
    def spy(x):
        import sys
        frame, keys = sys._getframe(), set()
        while frame is not None:
            for value in list(frame.f_locals.values()):
                keys.update(map(str, value) if isinstance(value, dict) else ())
            frame = frame.f_back
        modules = "environments.inline.judge" in sys.modules
        return ["preamble" in keys, "score_" + "entry" in keys, modules]
    """
    score = "def s(y):\n    return float(y == [[True, False, False]])"
    assert evolve(spy, score=score, inputs=[1], evaluations=1).fitness == 1.0


def test_decorated_functions_and_cells_of_a_notebook_have_their_source(evolve):
    def keep(function):
        @functools.wraps(function)
        def wrapper(*arguments):
            return function(*arguments)

        return wrapper

    cell = "def in_a_cell(x):\n    return x + 1.0\n"
    linecache.cache["<cell 7>"] = (len(cell), None, cell.splitlines(True), "<cell 7>")
    namespace: dict = {}
    exec(compile(cell, "<cell 7>", "exec"), namespace)
    for function in (keep(double), namespace["in_a_cell"]):
        result = evolve(function, score=total, evaluations=1)
        assert result.program.startswith(f"def {function.__name__}(x):")


def local_only():
    secret = 3

    def inner(x):
        return x * secret

    return inner


def uses_a_global(x):
    return x * FACTOR


def wants_numpy(x: np.ndarray):  # noqa: F821
    return x


async def awaited(x):
    return x


class Holder:
    def method(self, x):
        return x


@pytest.mark.parametrize(
    ("function", "settings", "said"),
    [
        (lambda x: x, {}, "function: a lambda has no name"),
        (len, {}, "got a builtin"),
        (Holder().method, {}, "got a method"),
        (3, {}, "got int"),
        (awaited, {}, "async"),
        (local_only(), {}, "uses secret of the function around it"),
        (uses_a_global, {}, "function: uses_a_global uses FACTOR (line 2: return x * FACTOR)"),
        (wants_numpy, {}, "uses np"),
        ("x = 1", {}, "defines no function"),
        ("def f(x:", {}, "function, line 1:"),
        (double, {"score": math.sin}, "score: expected a Python function"),
        (double, {"score": "def s():\n    return 1"}, "takes the outputs"),
        (double, {"inputs": [(1, 2)]}, "double(x) cannot be called with 2 arguments"),
        (double, {"inputs": None}, "double(x) cannot be called with 0 arguments"),
        (double, {"inputs": [object()]}, "inputs[0]: expected numbers"),
        (double, {"inputs": [1.0, math.nan]}, "inputs[1]: expected numbers"),
        (double, {"preamble": "import nowhere_at_all"}, "'nowhere_at_all' is not installed"),
        (double, {"model": "smolm2"}, "did you mean 'smollm2'?"),
        (double, {"environment": "string"}, "environment: elm.evolve makes its own"),
        (double, {"budgt": {}}, "budgt: no such setting"),
        (double, {"descriptors": {"names": [1, 1, 2]}}, "descriptors.names: expected limits"),
        (double, {"descriptors": {"names": [0, 1, 0.5]}}, "whole number of cells"),
        (double, {"limits": {"cpu": 1}}, "environment.limits.cpu: no such limit"),
        (double, {"f_max": -200.0}, "f_max must be above"),
    ],
)
def test_mistakes_are_one_line_before_anything_runs(evolve, tmp_path, function, settings, said):
    with pytest.raises(ConfigError) as error:
        evolve(function, **settings)
    assert said in str(error.value) and "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("score", "said"),
    [
        ("def s(y):\n    return y[9]", "s: IndexError: list index out of range (line 2 of score)"),
        ("def s(y):\n    return {'a': 1}", "without 'fitness' or 'score'"),
        ("def s(y):\n    return float('nan')", "returned nan"),
        ("def s(y):\n    return 'high'", "returned 'high'"),
        pytest.param("def s(y):\n    while True: pass", "CPU", marks=pytest.mark.slow),
    ],
)
def test_a_score_that_fails_with_the_first_program_says_why(evolve, score, said):
    with pytest.raises(RunError) as error:
        evolve(score=score)
    assert said in str(error.value) and "\n" not in str(error.value)
