"""`elm new-environment` and `elm check-environment`: what is written works, faults are named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from elm.build import build_environment
from elm.checkup import check
from elm.cli import main
from elm.commands.new_environment import next_steps
from environments.base import Axis
from environments.string.environment import String

ROOT = Path(__file__).parents[2]


@pytest.fixture
def write(tmp_path, monkeypatch, request):
    """Writes a new environment under a name of its own, with some of its text replaced."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    name = f"written_{abs(hash(request.node.nodeid))}"

    def go(*edits: tuple[str, str, str]) -> str:
        assert main(["new-environment", name, "--into", str(tmp_path)]) == 0
        for file, before, after in edits:
            path = tmp_path / name / file
            text = path.read_text(encoding="utf-8")
            assert before in text, (file, before)
            path.write_text(text.replace(before, after.replace("NAME", name)), encoding="utf-8")
        return name

    return go


def checked(capsys, *arguments: str) -> tuple[int, list[str]]:
    capsys.readouterr()
    code = main(["check-environment", *arguments])
    return code, capsys.readouterr().out.splitlines()


@pytest.mark.slow
def test_what_is_written_passes_its_test_and_runs_as_printed(tmp_path):
    def shell(*words: str, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, timeout=600,
            env={**os.environ, **more},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    lines = shell("-m", "elm.cli", "new-environment", "far_points").splitlines()
    assert lines[1:3] == [
        "elm check-environment far_points",
        f"{sys.executable} -m pytest far_points",
    ]
    assert "3 passed" in shell("-m", "pytest", "-p", "no:cacheprovider", "far_points")
    start = f"PYTHONPATH=. {sys.executable} "
    assert lines[3].startswith(start)
    words = lines[3].removeprefix(start).split()
    more = ["budget.evaluations=40", "view=plain", "report=false"]
    assert "evaluations" in shell(*words, *more, PYTHONPATH=".")
    assert (tmp_path / "runs").is_dir()


def test_who_has_no_pytest_is_told_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    lines = next_steps(tmp_path / "far_points").splitlines()
    assert lines[2:4] == [
        f"{sys.executable} -m pip install pytest",
        f"{sys.executable} -m pytest far_points",
    ]


@pytest.mark.parametrize("name", ["9lives", "Upper", "with-dash", "class", "string", "json", "elm"])
def test_names_that_cannot_be_are_refused(tmp_path, capsys, name):
    assert main(["new-environment", name, "--into", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"elm: error: {name!r}") and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path, capsys):
    (tmp_path / "taken").mkdir()
    assert main(["new-environment", "taken", "--into", str(tmp_path)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert main(["new-environment", "taken", "--into", str(tmp_path / "nowhere")]) == 1
    assert "no such folder" in capsys.readouterr().err
    assert not list((tmp_path / "taken").iterdir())


def test_a_good_environment_is_ok_line_by_line(write, capsys):
    name = write()
    code, lines = checked(capsys, name)
    assert code == 0 and len(lines) > 10
    assert all(line.startswith("ok    ") for line in lines), lines


@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        ("environment.py", '"mean of y", 0.0, 1.0', '"mean of y", 2.0, 1.0',
         "axes: 'mean of y': expected finite limits low < high, got 2.0..1.0"),
        ("environment.py", '"mean of y"', '"mean of x"', "axes: 'mean of x' stands there 2 times"),
        ("environment.py", "f_max=1.5", "f_max=-1.0", "objective: f_max: expected above f_min=0"),
        ("environment.py", '{"count": self._count}', '{"count": (1, 2)}',
         "settings are plain: producer_settings(): JSON gives back something else"),
        ("environment.py", "return x, 0.5", "return x, 0.5 +",
         "seeds parse: 'line': NAME.py, line 3:"),
        ("environment.py", 'opening="def place(number, count):"', 'opening="def other("',
         "prompt fits the seeds: opening='def other(': does not stand in seed 'grid'"),
        ("environment.py", "NAME.producer", "NAME.producr", "no module 'NAME.producr'"),
        ("producer.py", "def produce(", "def make(", "producer.py, line 1: defines no produce()"),
        ("producer.py", "from typing import Any",
         "from NAME.judge import judge\nfrom typing import Any",
         "producer.py, line 5: imports NAME.judge, which is not in the list"),
        ("judge.py", "import math", "import math\nimport no_such_package",
         "judge.py, line 7: imports no_such_package, which is not installed"),
        ("environment.py", "def seeds(self) -> Sequence[Seed]:",
         "def seeds(self) -> Sequence[Seed]:\n        raise KeyError('lost')",
         "seeds parse: KeyError"),
    ],
)  # fmt: skip
def test_what_is_declared_wrongly_is_named(write, tmp_path, capsys, file, before, after, said):
    package = write()
    path = tmp_path / package / file
    text = path.read_text(encoding="utf-8")
    before, after, said = (part.replace("NAME", package) for part in (before, after, said))
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")
    code, lines = checked(capsys, package)
    failures = [line for line in lines if line.startswith("FAIL  ")]
    assert code == 1 and any(said in line for line in failures), lines
    assert lines[-1].startswith("note  sandbox: nothing was executed")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (("judge.py", "not isinstance(artifact, list) or len(artifact) != count", "False"),
         "bad artifacts are refused: null: judge_error: TypeError"),
        (("judge.py", "0 <= value <= 1", "True"),
         "OverflowError: intermediate overflow in fsum (<bundle NAME.judge>, line 33)"),
        (("environment.py", "f_max=1.5", "f_max=0.2"),
         "seeds score in range: 'grid': fitness is 0.3, above f_max=0.2"),
        (("judge.py", "for xs in zip(*artifact, strict=True)", "for xs in [[0.5]]"),
         "seeds run: 'grid': judge_error: descriptor: the judge gave (0.0625,), expected 2"),
        (("producer.py", "return min(", "import time\n    return time.time() % 1.0 * min("),
         "the same twice: 'grid': fitness was"),
        (("producer.py", "FILE =", "def prepare(settings):\n    raise OSError('no')\n\n\nFILE ="),
         "starts in a sandbox: "),
        (("environment.py", "    return x, 0.5", "    return x.nothing"),
         "seeds run: 'line': runtime_error: AttributeError"),
        (("environment.py", '"mean of y", 0.0, 1.0', '"mean of y", 0.0, 0.45'),
         "seeds score in range: 'line': mean of y is 0.5, outside of 0..0.45"),
    ],
)  # fmt: skip
def test_what_goes_wrong_in_a_sandbox_is_named(write, capsys, edit, said):
    name = write(edit)
    said = said.replace("NAME", name)
    code, lines = checked(capsys, name)
    failures = [line for line in lines if line.startswith("FAIL  ")]
    assert code == 1 and any(said in line for line in failures), "\n".join(lines)


def test_an_environment_is_found_by_folder_file_class_and_name(write, capsys):
    name = write()
    title = "".join(part.capitalize() for part in name.split("_"))
    for target in (f"{name}/environment.py", f"{name}.environment:{title}"):
        code, lines = checked(capsys, target, "--setting", "count=1")
        assert code == 1
        assert lines == ["FAIL  settings build: environment.count: expected 2 to 100, got 1"]
    code, lines = checked(capsys, "string", "--setting", "environment.target=")
    assert code == 1 and "environment.target" in lines[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no/where"], "no such file or folder"),
        (["strng"], "did you mean 'string'?"),
        (["empty"], "holds neither environment.py nor evaluator.py"),
        (["text.txt"], "expected a Python file or a folder"),
        (["broken.py"], "broken.py, line 1:"),
        (["fails.py"], "cannot be imported: ZeroDivisionError: division by zero"),
        (["string", "--setting", "target"], "expected key=value"),
        (["environments.string.environment:Strin"], "did you mean 'String'?"),
    ],
)
def test_targets_that_name_nothing_are_one_line(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("text")
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "fails.py").write_text("1 / 0\nclass Fails(Environment): pass\n")
    assert main(["check-environment", *arguments]) == 1
    err = capsys.readouterr().err
    assert err.startswith("elm: error: ") and said in err and err.count("\n") == 1


INLINE = {
    "name": "inline",
    "source": "import math\n\n\ndef area(r, *, scale=1.0):\n    return math.pi * r * r * scale\n",
    "entry": "area",
    "score": "def score(y):\n    return {'fitness': max(0.0, y[0]), 'last': y[-1]}",
    "inputs": ["1.0", "(2.0,)"],
    "descriptors": {"last": [0.0, 100.0, 10], "tree_size": [0.0, 100.0, 5]},
}


@pytest.mark.slow
def test_inline_environments_keep_to_the_contract():
    findings = list(check(build_environment(INLINE)))
    assert len(findings) > 10 and not [str(f) for f in findings if f.failed]


def test_specifications_keep_to_the_contract(tmp_path, capsys):
    path = tmp_path / "climb.py"
    path.write_text(
        '"""Climb."""\nimport funsearch\n\nINPUTS = [1, 2]\n\n\n@funsearch.run\ndef evaluate(n):\n'
        "    return {'score': float(priority(n)), 'solution': float(priority(n))}\n\n\n"
        "def check(n, solution):\n    if not isinstance(solution, float):\n"
        "        raise ValueError('expected a number')\n"
        "    return max(0.0, min(solution, 9.0))\n\n\n"
        "@funsearch.evolve\ndef priority(n):\n    return n * 1.0\n"
    )
    code, lines = checked(capsys, str(path))
    assert code == 0 and "ok    seeds run" in lines, lines
    path.write_text(path.read_text().replace("@funsearch.evolve\n", "").replace("priority", "rank"))
    code, lines = checked(capsys, str(path))
    assert code == 1 and lines[0].startswith("FAIL  settings build: environment"), lines


@pytest.mark.slow
def test_folders_of_an_evaluator_keep_to_the_contract(tmp_path, capsys):
    (tmp_path / "initial_program.py").write_text("def f():\n    return 1.0\n")
    (tmp_path / "evaluator.py").write_text(
        "import importlib.util\n\n\ndef evaluate(program_path):\n"
        "    spec = importlib.util.spec_from_file_location('program', program_path)\n"
        "    module = importlib.util.module_from_spec(spec)\n    spec.loader.exec_module(module)\n"
        "    return {'combined_score': float(module.f())}\n"
    )
    code, lines = checked(capsys, str(tmp_path))
    assert code == 0 and "ok    seeds run" in lines, lines
    assert any(line.startswith("note  verified") for line in lines)


def test_a_third_party_may_check_without_a_sandbox():
    class Odd(String):
        axes = (Axis("length", 5.0, 1.0, 3),)

    findings = list(check(Odd(), execute=False))
    assert [f.check for f in findings if f.failed] == ["axes"]
    assert (
        str(findings[0]) == "FAIL  axes: 'length': expected finite limits low < high, got 5.0..1.0"
    )
