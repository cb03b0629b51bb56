"""Ask and tell."""

from __future__ import annotations

import msgspec
import pytest

import elm
from elm.candidate import Evaluation, Program, Status
from elm.config import ConfigError
from elm.journal import Journal
from elm.pipeline import RunError
from environments.string.environment import String


def measure(candidate):
    """A stand-in for an experiment of somebody: fitness and descriptor from the text alone."""
    text = candidate.program.source
    return (sum(map(ord, text)) % 97 / 97, (len(text) % 48, len(set(text)) % 24))


def play(rounds=12, **settings):
    with elm.Loop("string", **{"seed": 1, **settings}) as loop:
        for _ in range(rounds):
            loop.tell({c.id: measure(c) for c in loop.ask(16)})
        return loop


def test_the_first_ask_gives_the_seeds():
    with elm.Loop("string") as loop:
        first = loop.ask(1)
        assert [c.program for c in first] == [s.program for s in String().seeds()]
        assert loop.pending == tuple(first) and loop.best is None


def test_the_same_calls_with_the_same_seed_give_the_same_archive():
    one, two, other = play(), play(), play(seed=2)
    assert one.archive.sha256() == two.archive.sha256() != other.archive.sha256()
    assert one.statuses == two.statuses
    assert one.best.evaluation.fitness == max(e.evaluation.fitness for e in one.archive)


def test_what_needs_no_evaluation_is_recorded_and_never_handed_out():
    with elm.Loop("string", seed=1) as loop:
        handed = []
        for _ in range(12):
            asked = loop.ask(16)
            handed += asked
            loop.tell({c.id: measure(c) for c in asked})
        assert len({c.hash for c in handed}) == len(handed)
        refused = {i: s for i, s in loop.statuses.items() if s is not Status.OK}
        assert set(refused.values()) <= {Status.DUPLICATE, Status.NO_CHANGE} and refused
        assert not refused.keys() & {c.id for c in handed}
        assert sorted(loop.statuses) == list(range(3 + 11 * 16))


def test_the_order_in_which_results_are_told_at_once_does_not_matter():
    with elm.Loop("string", seed=1) as loop:
        for _ in range(12):
            results = {c.id: measure(c) for c in loop.ask(16)}
            loop.tell(dict(reversed(results.items())))
    assert loop.archive.sha256() == play().archive.sha256()


def test_candidates_may_be_told_late_and_one_by_one():
    with elm.Loop("string", seed=1) as loop:
        seeds = loop.ask(3)
        loop.tell({seeds[0].id: measure(seeds[0])})
        early = loop.ask(8)
        assert loop.pending == (*seeds[1:], *early)
        for candidate in reversed(loop.pending):
            loop.tell({candidate.id: measure(candidate)})
        assert loop.pending == () and len(loop.archive) > 1


def test_failures_enter_no_archive_and_make_no_parents():
    with elm.Loop("string") as loop:
        seeds = loop.ask(1)
        loop.tell([Evaluation(candidate=c.id, status=Status.TIMEOUT) for c in seeds])
        assert list(loop.statuses.values()) == [Status.TIMEOUT] * 3
        with pytest.raises(RunError, match="the archive is empty"):
            loop.ask(1)


def test_evaluating_in_sandboxes_finds_what_a_run_finds(tmp_path):
    """Blocks of a synchronous run are the answers to `ask`, candidate by candidate."""
    summary = elm.run(
        environment="string", seed=5, batch_size=16, lookahead=0, run_dir=str(tmp_path),
        budget={"evaluations": 120}, view="none", report=False,
    )  # fmt: skip
    with Journal(tmp_path / summary["run_name"] / "journal.db", read_only=True) as journal:
        blocks = [list(journal.candidates(number)) for number in range(4)]
        evaluations = {e.candidate: e for e in journal.evaluations()}
    with elm.Loop("string", seed=5, dispatch={"name": "local", "slots": 1}) as loop:
        for block in blocks:
            asked = loop.ask(16)
            assert asked == [c for c in block if c.status is None]
            found = loop.evaluate(asked)
            for one in found:
                known = evaluations[one.candidate]
                assert (one.status, one.fitness, one.descriptor, one.artifact) == (
                    known.status, known.fitness, known.descriptor, known.artifact
                )  # fmt: skip
            loop.tell(found)


def test_an_environment_may_be_given_as_an_object():
    with elm.Loop(String(target="x"), variation="random") as loop:
        found = loop.evaluate(loop.ask(1))
        assert all(e.status is Status.OK for e in found) and loop.environment.name == "string"


@pytest.fixture
def loop():
    with elm.Loop("string") as loop:
        yield loop


def test_tell_refuses_what_it_did_not_ask_for_and_changes_nothing(loop):
    first, second, third = loop.ask(1)
    good = measure(first)
    loop.tell({first.id: good})
    ok = Evaluation(candidate=second.id, status=Status.OK, fitness=1.0, descriptor=(1.0, 1.0))
    for told, said in (
        ({first.id: good}, "candidate 0: was told already"),
        ({77: good}, "candidate 77: was never asked for"),
        ({second.id: (1.0, (1.0,))}, "candidate 1: descriptor: got (1.0,), expected 2"),
        ({second.id: (float("nan"), (1.0, 1.0))}, "candidate 1: fitness: got nan"),
        ({second.id: (None, (1.0, 1.0))}, "expected an Evaluation or (fitness, descriptor)"),
        ({second.id: 3.0}, "expected an Evaluation or (fitness, descriptor)"),
        ({third.id: ok}, "the evaluation is that of candidate 1"),
        ([ok, ok], "candidate 1: was told already"),
        ([ok, msgspec.structs.replace(ok, candidate=9)], "candidate 9: was never asked"),
        ([Evaluation(candidate=1, status=Status.LOST)], "evaluate it again"),
    ):
        with pytest.raises(ValueError) as error:
            loop.tell(told)
        assert said in str(error.value) and "\n" not in str(error.value)
        assert loop.pending == (second, third) and len(loop.archive) == 1


def test_ask_and_evaluate_say_what_they_cannot_do(loop):
    with pytest.raises(ValueError, match="count: expected at least 1, got 0"):
        loop.ask(0)
    (first, *_) = loop.ask(1)
    broken = msgspec.structs.replace(first, program=Program({"string.py": "1 +"}), hash="")
    with pytest.raises(ValueError, match="no program that could be executed"):
        loop.evaluate([broken])
    with pytest.raises(RunError, match="tell the"):
        loop.ask(1)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"environment": "strng"}, "did you mean 'string'?"),
        ({"environment": {"name": "string", "target": ""}}, "environment.target"),
        ({"variation": {"name": "syntax_tree", "mor": 1}}, "variation.mor: unknown setting"),
        ({"archive": {"name": "grid", "depth": 0}}, "archive.depth"),
        ({"dispatch": {"name": "local", "slots": -1}}, "slots"),
        ({"search": "map_elite"}, "did you mean 'map_elites'?"),
    ],
)
def test_settings_that_are_wrong_are_one_line(settings, said):
    with pytest.raises(ConfigError) as error:
        elm.Loop(**{"environment": "string", **settings})
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_model_may_write_the_children():
    with elm.Loop("image", variation="prompt", model="stub", seed=1) as loop:
        loop.tell({c.id: (0.5, (c.id, 1.0, 1.0)) for c in loop.ask(1)})
        children = loop.ask(8)
        assert children and all(c.model == "stub" and c.operator == "prompt" for c in children)


class Halting:
    """A fleet that is interrupted once while it is waited for, and answers the rest later."""

    level, slots = "L0", 1

    def __init__(self):
        self.tasks, self.acknowledged, self.interrupted = [], [], False

    def start(self, bundle): ...

    def submit(self, tasks):
        self.tasks += tasks

    def results(self, timeout):
        if not self.interrupted:
            self.interrupted = True
            raise KeyboardInterrupt
        task = self.tasks.pop(0)
        return [
            Evaluation(
                candidate=task.candidate,
                status=Status.OK,
                fitness=float(len(task.files["string.py"])),
                descriptor=(1.0, 1.0),
            )
        ]

    def acknowledge(self, candidates):
        self.acknowledged += candidates

    def notices(self):
        return ["slot 0 restarted"] if len(self.tasks) == 1 else []

    def close(self): ...


def test_an_interrupted_evaluation_leaves_nothing_behind_for_the_next(monkeypatch, capsys):
    fleet = Halting()
    monkeypatch.setattr("elm.dispatch.build", lambda *_: fleet)
    with elm.Loop("string") as loop:
        seeds = loop.ask(1)
        with pytest.raises(KeyboardInterrupt):
            loop.evaluate(seeds)
        found = loop.evaluate(seeds[1:])
        assert [e.candidate for e in found] == [c.id for c in seeds[1:]]
        assert [e.fitness for e in found] == [len(c.program.source) for c in seeds[1:]]
        assert fleet.acknowledged == list(range(5))
    assert capsys.readouterr().err == "slot 0 restarted\n"
