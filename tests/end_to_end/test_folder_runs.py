"""Runs of folders as a user starts them: the example, a verified one, and what cannot work."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "evaluator_folder"
FOLDER = ("environment=folder", "view=plain", "report=false", "dispatch.slots=1")


def outside(text: str) -> tuple[str, str]:
    """What stands before and behind the evolve block."""
    before, _, rest = text.partition("# EVOLVE-BLOCK-START")
    return before, rest.partition("# EVOLVE-BLOCK-END")[2]


def programs(home: Path) -> list[str]:
    with (home / "elites" / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    texts = [path.read_text() for path in sorted((home / "elites").glob("*.py"))]
    assert len(texts) == len(rows) > 0
    return texts


def test_the_example_evolves_within_its_block_and_the_same_twice(elm):
    sums = []
    for name, slots in (("first", 1), ("second", 2)):
        done = elm(*FOLDER, f"environment.path={EXAMPLE}", f"run_name={name}",
                   "budget.evaluations=60", f"dispatch.slots={slots}")  # fmt: skip
        summary = elm.summary(name)
        sums.append(summary["archive_sha256"])
        assert summary["verified"] is False and summary["reproducible"] is True
        assert summary["best_fitness"] > 0.6 and summary["statuses"]["ok"] > 20
    assert sums[0] == sums[1]
    first = (EXAMPLE / "initial_program.py").read_text()
    found = programs(elm.runs / "second")
    assert {outside(text) for text in found} == {outside(first)}
    assert len({*found, first}) > 2
    assert "these keys mean nothing here: llm, diff_based_evolution" in done.stdout + done.stderr


@pytest.mark.parametrize("operator", ["rewrite", "prompt"])
def test_language_models_keep_to_the_block_too(elm, operator):
    elm(*FOLDER, f"environment.path={EXAMPLE}", "model=stub", f"variation={operator}",
        "budget.evaluations=20", "run_name=run")  # fmt: skip
    assert elm.summary("run")["statuses"]["ok"] > 5
    first = (EXAMPLE / "initial_program.py").read_text()
    assert {outside(text) for text in programs(elm.runs / "run")} == {outside(first)}


def test_a_folder_with_solve_and_score_is_verified(elm, tmp_path):
    (tmp_path / "initial_program.py").write_text("def solve():\n    return [1.0, 2.0]\n")
    (tmp_path / "evaluator.py").write_text(
        "def score(found):\n    return {'score': -abs(found[0] - 7), 'second': found[1]}\n"
    )
    elm(*FOLDER, f"environment.path={tmp_path}", "run_name=run", "budget.evaluations=60",
        "environment.f_min=-100", "environment.descriptors={second: [0, 10, 10]}")  # fmt: skip
    summary = elm.summary("run")
    assert summary["verified"] is True and summary["cells_total"] == 10
    assert -6.0 < summary["best_fitness"] <= 0.0
    assert summary["qd_offset"] == -100.0


def test_what_cannot_work_ends_in_one_line(elm, tmp_path):
    (tmp_path / "initial_program.py").write_text("def f(x):\n    return x\n")
    (tmp_path / "evaluator.py").write_text("import nobody_has_this\ndef evaluate(path): ...\n")
    done = elm(*FOLDER, f"environment.path={tmp_path}", "budget.evaluations=5", code=2)
    assert f"{tmp_path}/evaluator.py, line 1: module 'nobody_has_this' is not inst" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not elm.runs.exists() or not list(elm.runs.iterdir())
