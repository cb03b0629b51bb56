"""Programs that cheat, in whole runs: no forged score is ever one that is called verified."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from cheats import CHEATS
from cheats.cheat import CLAIMED, EITHER, FAILED, HONEST, REFUSED
from cheats.cheated import Cheated

import elm
from elm.journal.journal import Journal

LIBRARY = Path(elm.__file__).parents[1] / "environments/specification/library"
INPUTS = {
    "cap_set": [3, 4],
    "deletion_codes": [(6, 1), (7, 2)],
    "bin_packing": [("uniform", 40, 1), ("weibull", 30, 2)],
}
MOST = {"cap_set": (9 + 20) / 2, "deletion_codes": (10 + 5) / 2, "bin_packing": -14.0}


def module_of(path):
    """A specification as the test's own copy, which no program ever saw."""
    found = importlib.util.spec_from_file_location(f"own_{path.stem}", path)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


class Ran:
    """A run over all cheats of a specification, each program with its evaluation."""

    def __init__(self, name, path, folder, **settings):
        settings |= {"of": name, "path": str(path), "inputs": INPUTS[name]}
        programs = Cheated(**settings).seeds()
        self.summary = elm.run(
            environment={
                "name": "cheated",
                "_target_": "cheats.cheated.Cheated",
                **settings,
                "limits": {"cpu_seconds": 1.0, "wall_seconds": 60.0, "memory_mb": 256},
            },
            variation={"name": "syntax_tree"},
            dispatch={"name": "local", "slots": 1},
            budget={"evaluations": len(programs)},
            run_dir=str(folder),
            report=False,
            view="none",
        )
        (journal,) = folder.glob("*/journal.db")
        with Journal(journal, read_only=True) as opened:
            self.evaluations = list(opened.evaluations())
        assert [e.candidate for e in self.evaluations] == list(range(len(programs)))
        self.by_name = {
            seed.name: evaluation
            for seed, evaluation in zip(programs, self.evaluations, strict=True)
            if seed.name != "honest"
        }
        self.honest = [
            evaluation
            for seed, evaluation in zip(programs, self.evaluations, strict=True)
            if seed.name == "honest"
        ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    made = {}

    def get(name):
        if name not in made:
            made[name] = Ran(name, LIBRARY / f"{name}.py", tmp_path_factory.mktemp(name))
        return made[name]

    return get


@pytest.fixture(scope="module")
def unchecked(tmp_path_factory):
    """The same programs where nobody computes scores again."""
    folder = tmp_path_factory.mktemp("unchecked")
    text = (LIBRARY / "cap_set.py").read_text()
    (folder / "cap_set.py").write_text(text[: text.index("def check(")])
    return Ran("cap_set", folder / "cap_set.py", folder)


def worth(name, evaluation):
    """Fitness of an artifact, from nothing but the artifact."""
    module = module_of(LIBRARY / f"{name}.py")
    solutions = evaluation.artifact["solutions"]
    assert list(solutions) == [repr(params) for params in INPUTS[name]]
    scores = []
    for params, solution in zip(INPUTS[name], solutions.values(), strict=True):
        found = module.check(params, solution)
        scores.append(found["score"] if type(found) is dict else found)
    return sum(scores) / len(scores)


def test_there_are_enough_and_no_two_are_alike():
    assert len(CHEATS) >= 80
    assert len({cheat.name for cheat in CHEATS}) == len(CHEATS)
    assert len({cheat.source for cheat in CHEATS}) == len(CHEATS)


@pytest.mark.parametrize("cheat", CHEATS, ids=lambda cheat: cheat.name)
def test_a_cheat_is_given_what_its_solution_is_worth_or_nothing(runs, cheat):
    found = runs(cheat.specification).by_name[cheat.name]
    assert "up to date" not in found.detail
    if found.status != "ok":
        assert cheat.end in (FAILED, REFUSED, EITHER), f"{found.status}: {found.detail}"
        assert found.status == "bad_result" or cheat.end != REFUSED, found.detail
        assert found.fitness is None
        assert found.status not in ("judge_error", "lost", "poison"), found.detail
        return
    assert cheat.end in (HONEST, CLAIMED, EITHER), found.artifact
    assert found.verified
    assert found.fitness == worth(cheat.specification, found) <= MOST[cheat.specification]
    if cheat.end == CLAIMED:
        assert found.metrics["claimed"] > 1e6


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_who_comes_after_a_cheat_notices_nothing(runs, name):
    first, *others = runs(name).honest
    assert first.status == "ok", first.detail
    assert first.fitness == worth(name, first)
    assert len(others) == sum(cheat.specification == name for cheat in CHEATS)
    for other in others:
        assert other.status == "ok", other.detail
        assert other.verified
        same = ("fitness", "scores", "artifact", "behaviour", "metrics")
        assert [getattr(other, key) for key in same] == [getattr(first, key) for key in same]


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_the_run_calls_the_best_verified_and_it_is(runs, name):
    run = runs(name)
    assert run.summary["verified"] is True
    assert run.summary["best_fitness"] <= MOST[name]
    best = run.evaluations[run.summary["best_candidate"]]
    assert run.summary["best_fitness"] == worth(name, best)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"split": "inputs"}, {"apart": True}], ids=str)
@pytest.mark.parametrize("name", sorted(INPUTS))
def test_the_same_in_other_ways_to_execute_them(tmp_path, name, settings):
    run = Ran(name, LIBRARY / f"{name}.py", tmp_path, **settings)
    assert run.summary["verified"] is True
    for evaluation in run.evaluations:
        if evaluation.status == "ok":
            assert evaluation.fitness == worth(name, evaluation) <= MOST[name]
        else:
            assert evaluation.fitness is None
            assert evaluation.status not in ("judge_error", "lost", "poison"), evaluation.detail
    assert {e.fitness for e in run.honest} == {run.honest[0].fitness} != {None}


def test_without_a_check_nothing_is_called_verified(unchecked):
    assert unchecked.summary["verified"] is False
    assert not any(e.verified for e in unchecked.evaluations if e.status == "ok")
    forged = unchecked.by_name["replaces evaluate before it is called"]
    assert (forged.status, forged.fitness) == ("ok", 1e9)  # which is why checks are there
    assert unchecked.summary["best_fitness"] == 1e9
    first, *others = unchecked.honest
    for other in others:
        assert (other.status, other.fitness, other.behaviour) == (
            "ok",
            first.fitness,
            first.behaviour,
        )
