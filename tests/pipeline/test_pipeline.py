"""The loop: order, budgets, duplicates, failures, crash and resume."""

import random
import time
from collections import Counter

import pytest
from fakes import SEEDS, Crash, Fleet, Wobble, evaluate, new_journal, pipeline

from elm.budget import Budget
from elm.candidate import Evaluation, Program, Proposal, Status
from elm.journal import Journal
from elm.pipeline import Ending, RunError


def run(folder, **changes):
    folder.mkdir(exist_ok=True)
    with new_journal(folder) as journal:
        made = pipeline(journal, **changes)
        ending = made.run()
        return made, ending


@pytest.mark.parametrize("lookahead", [0, 1, 3])
def test_archive_does_not_depend_on_the_order_in_which_results_arrive(tmp_path, lookahead):
    hashes = {
        run(tmp_path / str(order), fleet=Fleet(order), lookahead=lookahead)[0].archive.sha256()
        for order in range(4)
    }
    assert len(hashes) == 1


def test_archive_depends_on_the_seed(tmp_path):
    hashes = {run(tmp_path / str(s), seed=s)[0].archive.sha256() for s in range(3)}
    assert len(hashes) == 3


def test_parents_come_from_the_archive_that_lookahead_allows(tmp_path):
    _, _ = run(tmp_path, lookahead=2)
    with Journal(tmp_path / "journal.db", read_only=True) as journal:
        block_of = {c.id: c.block for c in journal.candidates()}
        blocks = {b.number: b for b in journal.blocks()}
        for candidate in journal.candidates():
            for parent in candidate.parents:
                assert block_of[parent] < blocks[candidate.block].seen
    # Only at the end of the budget may a block wait for more than lookahead asks for.
    assert [b.seen for b in blocks.values()][:8] == [0, 1, 1, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("limit", [1, 2, 3, 50, 101])
def test_evaluations_are_kept_to_exactly(tmp_path, limit):
    fleet = Fleet()
    made, ending = run(tmp_path, fleet=fleet, budget=Budget(evaluations=limit))
    assert len(fleet.executed) == made.spent.evaluations == limit
    assert ending is Ending.EVALUATIONS
    assert not fleet.unacknowledged


def test_model_calls_are_kept_to_exactly(tmp_path):
    made, ending = run(tmp_path, operator=Wobble("m"), budget=Budget(model_calls=61))
    assert made.spent.model_calls == made.spent.children == 61
    assert ending is Ending.MODEL_CALLS
    assert made.spent.tokens == 61 * 15


def test_tokens_end_the_run_between_blocks(tmp_path):
    made, ending = run(tmp_path, operator=Wobble("m"), budget=Budget(tokens=700))
    assert ending is Ending.TOKENS
    assert 700 <= made.spent.tokens <= 700 + 3 * 8 * 15


def test_seconds_end_the_run(tmp_path):
    made, ending = run(tmp_path, budget=Budget(seconds=0.3))
    assert ending is Ending.SECONDS
    assert 0.3 <= made.clock() < 10


def test_duplicates_are_neither_evaluated_nor_counted_as_evaluations(tmp_path):
    fleet = Fleet()
    made, _ = run(tmp_path, fleet=fleet, operator=Wobble(step=0.05))
    assert made.spent.statuses[Status.DUPLICATE] > 0
    assert made.spent.statuses[Status.NO_CHANGE] > 0
    with Journal(tmp_path / "journal.db", read_only=True) as journal:
        owners = {}
        for c in journal.candidates():
            if c.status is Status.DUPLICATE:
                assert owners[c.hash] == c.duplicate_of < c.id
            elif c.status is None:
                assert c.hash not in owners
                owners[c.hash] = c.id
        assert sorted(owners.values()) == sorted(fleet.executed)


def test_a_search_that_finds_nothing_new_ends(tmp_path):
    made, ending = run(
        tmp_path, operator=Wobble(step=0.0), budget=Budget(seconds=60, stall_blocks=5)
    )
    assert ending is Ending.STALLED
    assert made.spent.evaluations == len(SEEDS)


def test_counters_add_up(tmp_path):
    made, _ = run(tmp_path, operator=Wobble("m"))
    spent = made.spent
    assert sum(spent.statuses.values()) == spent.children == spent.candidates - len(SEEDS)
    evaluated = spent.statuses[Status.OK] + spent.statuses[Status.RUNTIME_ERROR]
    assert evaluated + len(SEEDS) == spent.evaluations
    assert made.metrics()["runnable_fraction"] == spent.statuses[Status.OK] / spent.children


@pytest.mark.parametrize("crash_after", [0, 1, 2, 5, 17, 40, 41, 76])
def test_a_killed_run_resumes_to_the_same_archive(tmp_path, crash_after):
    whole, _ = run(tmp_path / "whole", operator=Wobble("m"))
    folder = tmp_path / "cut"
    with pytest.raises(Crash):
        run(folder, fleet=Fleet(5, crash_after=crash_after), operator=Wobble("m"))
    fleet = Fleet(9)
    with Journal(folder / "journal.db") as journal:
        known = {e.candidate for e in journal.evaluations()}
        paid = sum(1 for _ in journal.attempts())
        operator = Wobble("m")
        again = pipeline(journal, fleet, operator=operator)
        assert again.run() is Ending.EVALUATIONS
    assert again.archive.sha256() == whole.archive.sha256()
    assert again.spent.metrics() | {"generation_seconds": 0} == whole.spent.metrics() | {
        "generation_seconds": 0
    }
    assert not known & set(fleet.executed), "what the journal knows was evaluated again"
    assert operator.made == whole.spent.model_calls - paid, "a paid completion was bought again"


def test_a_run_survives_many_kills(tmp_path):
    whole, _ = run(tmp_path / "whole")
    rng = random.Random(3)
    folder = tmp_path / "cut"
    folder.mkdir()
    new_journal(folder).close()
    for _ in range(200):
        with Journal(folder / "journal.db") as journal:
            made = pipeline(journal, Fleet(rng.randrange(99), crash_after=rng.randint(3, 12)))
            try:
                made.run()
            except Crash:
                continue
            break
    assert made.archive.sha256() == whole.archive.sha256()


def test_stop_finishes_what_is_being_made_and_resumes(tmp_path):
    class Slow(Wobble):
        def propose(self, orders):
            time.sleep(0.02)
            return super().propose(orders)

    whole, _ = run(tmp_path / "whole", operator=Slow())
    folder = tmp_path / "stopped"
    folder.mkdir()
    with new_journal(folder) as journal:
        made = pipeline(journal, operator=Slow())

        class Watcher:
            def update(self, progress): ...
            def notice(self, message): ...

        fleet_results = made._dispatcher.results

        def results(timeout):
            if made.spent.evaluations > 20:
                made.stop()
            return fleet_results(timeout)

        made._dispatcher.results = results
        assert made.run() is Ending.INTERRUPTED
        assert 20 < made.spent.evaluations < 100
        assert len(list(journal.commits())) == len(list(journal.blocks()))
    with Journal(folder / "journal.db") as journal:
        again = pipeline(journal)
        assert again.run() is Ending.EVALUATIONS
    assert again.archive.sha256() == whole.archive.sha256()


def test_a_larger_budget_goes_on_where_the_smaller_ended(tmp_path):
    first, _ = run(tmp_path)
    with Journal(tmp_path / "journal.db") as journal:
        fleet = Fleet()
        more = pipeline(journal, fleet, budget=Budget(evaluations=150))
        assert more.run() is Ending.EVALUATIONS
    assert more.spent.evaluations == 150
    assert len(fleet.executed) == 50
    assert more.archive.qd_score >= first.archive.qd_score


def test_seeds_that_all_fail_are_an_error_that_says_why(tmp_path):
    class Broken(Fleet):
        def results(self, timeout):
            return [
                Evaluation(candidate=e.candidate, status=Status.RUNTIME_ERROR, detail="no such API")
                for e in super().results(timeout)
            ]

    with pytest.raises(RunError, match="runtime_error: no such API"):
        run(tmp_path, fleet=Broken())


def test_programs_that_do_not_parse_cost_no_evaluation(tmp_path):
    class Garbage(Wobble):
        def _one(self, order):
            proposal = super()._one(order)
            if order.seed % 2:
                return Proposal(program=Program({"vector.json": "[1, 2"}))
            return proposal

    fleet = Fleet()
    made, _ = run(tmp_path, fleet=fleet, operator=Garbage())
    assert made.spent.statuses[Status.SYNTAX_ERROR] > 20
    assert len(fleet.executed) == 100
    with Journal(tmp_path / "journal.db", read_only=True) as journal:
        broken = next(c for c in journal.candidates() if c.status is Status.SYNTAX_ERROR)
    assert "vector.json" in broken.detail


def test_an_operator_that_breaks_ends_the_run_with_its_own_error(tmp_path):
    class Broken(Wobble):
        def _one(self, order):
            raise ZeroDivisionError("operator")

    with pytest.raises(ZeroDivisionError):
        run(tmp_path, operator=Broken())


def test_generation_goes_on_while_sandboxes_execute(tmp_path):
    """With lookahead, the next block is being made before the last one is evaluated."""

    class SlowFleet(Fleet):
        def results(self, timeout):
            time.sleep(0.003)
            return [evaluate(self.tasks.pop(0))] if self.tasks else []

    class Slow(Wobble):
        def propose(self, orders):
            time.sleep(0.05)
            return super().propose(orders)

    made, _ = run(tmp_path / "a", fleet=SlowFleet(), operator=Slow("m"), lookahead=1)
    alone, _ = run(tmp_path / "b", fleet=SlowFleet(), operator=Slow("m"), lookahead=0)
    assert made.busy_fraction > alone.busy_fraction + 0.1


def test_offspring_counters_are_kept_for_every_elite(tmp_path):
    made, _ = run(tmp_path)
    children: Counter[int] = Counter()
    with Journal(tmp_path / "journal.db", read_only=True) as journal:
        for candidate in journal.candidates():
            children.update(candidate.parents)
    for elite in made.archive.elites():
        assert made.archive.counters(elite.candidate.id).tried == children[elite.candidate.id]


def test_a_fitness_that_is_good_enough_ends_the_run(tmp_path):
    made, ending = run(tmp_path, budget=Budget(evaluations=5000, fitness=-0.01))
    assert ending is Ending.FITNESS
    assert made.archive.best.evaluation.fitness >= -0.01
    assert made.spent.evaluations < 5000
