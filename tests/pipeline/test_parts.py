"""Blocks that are made in parts, by many, in any order; and runs that take them as they come."""

import random
from collections import Counter

import pytest
from fakes import Crash, Fleet, Wobble, new_journal, pipeline

from elm.allocation.base import Outcome
from elm.budget import Budget
from elm.candidate import Status
from elm.journal import Journal
from elm.journal.fold import fold
from elm.models.base import LanguageModel
from elm.pipeline import Ending
from elm.sampler.local import make


class Model(LanguageModel):
    """Says how large a part is; the operator of these tests asks nothing of it."""

    name = "m"

    def __init__(self, unit=3, allocation=None):
        self.active_parameters = {"m": 7}
        self.unit, self.allocation = unit, allocation

    def complete(self, requests):
        raise AssertionError("nobody asks")

    def close(self): ...


class Scattered:
    """Many samplers: parts are ready in any order, and it may all end at any moment."""

    def __init__(self, operator, order=0, crash_after=None):
        self.operator, self.crash_after = operator, crash_after
        self.rng = random.Random(order)
        self.parts = []
        self.count = 0

    def __call__(self, clock):
        self.clock = clock
        return self

    def submit(self, parts):
        self.parts.extend(parts)

    def made(self):
        if self.crash_after is not None and self.count >= self.crash_after:
            raise Crash
        self.rng.shuffle(self.parts)
        taken = [self.parts.pop() for _ in range(min(self.rng.randint(0, 2), len(self.parts)))]
        self.count += len(taken)
        return [make(self.operator, p, self.clock, f"s{self.rng.randint(1, 2)}") for p in taken]

    def withdraw(self):
        taken, self.parts = self.parts, []
        return taken

    def notices(self):
        return []

    def close(self): ...


def run(folder, samplers=None, **changes):
    folder.mkdir(exist_ok=True)
    settings = {"operator": Wobble("m"), "model": Model(), "lookahead": 2, **changes}
    with new_journal(folder) as journal:
        made = pipeline(journal, samplers=samplers, **settings)
        ending = made.run()
        return made, ending


def test_it_does_not_matter_who_makes_which_part_when(tmp_path):
    alone, _ = run(tmp_path / "alone")
    for order in range(4):
        operator = Wobble("m")
        made, ending = run(tmp_path / str(order), Scattered(operator, order), operator=operator)
        assert ending is Ending.EVALUATIONS
        assert made.archive.sha256() == alone.archive.sha256()
        assert operator.made == made.spent.model_calls, "something was made twice"
        assert set(made.makers) == {"s1", "s2"}


def test_parts_hold_as_many_orders_as_the_model_takes(tmp_path):
    sizes = Counter()

    class Counting(Wobble):
        def propose(self, orders):
            sizes[len(orders)] += 1
            return super().propose(orders)

    run(tmp_path, operator=Counting("m"))
    assert set(sizes) <= {1, 2, 3} and sizes[3] > sizes[2] > 0


@pytest.mark.parametrize("order", ["committed", "arrival"])
@pytest.mark.parametrize("crash_after", [1, 2, 3, 7, 20, 31])
def test_what_was_paid_for_is_never_bought_again(tmp_path, crash_after, order):
    whole, _ = run(tmp_path / "whole")
    first = Wobble("m")
    with pytest.raises(Crash):
        run(tmp_path / "cut", Scattered(first, 1, crash_after), operator=first, order=order)
    second = Wobble("m")
    with Journal(tmp_path / "cut" / "journal.db") as journal:
        again = pipeline(
            journal, operator=second, model=Model(), lookahead=2, order=order,
            samplers=Scattered(second, 2),
        )  # fmt: skip
        assert again.run() is Ending.EVALUATIONS
    assert first.made + second.made == again.spent.model_calls
    if order == "committed":
        assert again.archive.sha256() == whole.archive.sha256()
        assert again.spent.flops == whole.spent.flops == 2 * 7 * whole.spent.tokens


@pytest.mark.parametrize("crash_after", [None, 5, 40, 77])
def test_a_run_in_the_order_of_arrival_resumes_and_folds(tmp_path, crash_after):
    operator = Wobble("m")
    settings = {"operator": operator, "order": "arrival", "model": Model(), "lookahead": 3}
    fleet = Fleet(3, crash_after=crash_after)
    samplers = Scattered(operator, 4)
    if crash_after is None:
        again, _ = run(tmp_path, samplers, fleet=fleet, **settings)
        executed = fleet.executed
    else:
        with pytest.raises(Crash):
            run(tmp_path, samplers, fleet=fleet, **settings)
        with Journal(tmp_path / "journal.db") as journal:
            known = {e.candidate for e in journal.evaluations()}
            fresh = Fleet(8)
            again = pipeline(journal, fresh, samplers=Scattered(operator, 5), **settings)
            assert again.run() is Ending.EVALUATIONS
            assert not known & set(fresh.executed)
            executed = [*known, *fresh.executed]
    assert again.spent.evaluations == len(executed) == 100
    with Journal(tmp_path / "journal.db", read_only=True) as journal:
        ids = [c.id for c in journal.candidates()]
        assert len(ids) == len(set(ids)) == again.spent.candidates
        blocks = [commit.block for commit in journal.commits()]
        assert blocks != sorted(blocks), "everything came in order: nothing was tested"


class Preferring:
    """Gives every second child to the second arm, until the first has been told of 10."""

    arms = ("a", "b")

    def __init__(self):
        self.told: list[Outcome] = []

    def ask(self, count, rng):
        return [self.arms[i % 2 if len(self.told) < 10 else 0] for i in range(count)]

    def tell(self, outcome):
        self.told.append(outcome)


class Mixture(Wobble):
    def __init__(self):
        super().__init__("m")
        self.allocation = Preferring()

    def _one(self, order):
        import msgspec

        assert order.operator in ("a", "b") and order.model in ("a", "b")
        proposal = super()._one(order)
        return msgspec.structs.replace(proposal, operator=order.operator, model=order.model)


def test_allocations_choose_and_are_told_of_every_child(tmp_path):
    operator, models = Mixture(), Preferring()
    made, _ = run(tmp_path, operator=operator, model=Model(allocation=models))
    with Journal(tmp_path / "journal.db", read_only=True) as journal:
        children = [c for c in journal.candidates() if c.block]
        fitness = {e.candidate: e.fitness for e in journal.evaluations()}
    for told in (operator.allocation.told, models.told):
        assert [o.arm for o in told] == [c.operator for c in children]
        assert [o.fitness for o in told] == [fitness.get(c.id) for c in children]
        assert [o.parent for o in told] == [fitness[c.parents[0]] for c in children]
        assert {o.tokens for o in told} == {15}
    assert made.shares["operators"]["a"]["children"] > made.shares["operators"]["b"]["children"] > 0
    ok = sum(counts["runnable"] for counts in made.shares["models"].values())
    assert ok == made.spent.statuses[Status.OK]


def test_calls_are_never_exceeded_where_a_child_may_take_several(tmp_path):
    class Thrice(Wobble):
        def __init__(self):
            super().__init__("m")
            self.calls = 3

        def _one(self, order):
            proposal = super()._one(order)
            count = 1 + order.seed % 3
            return type(proposal)(
                program=proposal.program,
                status=proposal.status,
                attempts=proposal.attempts * count,
            )

    made, ending = run(tmp_path, operator=Thrice(), budget=Budget(model_calls=100))
    assert ending is Ending.MODEL_CALLS
    assert 97 < made.spent.model_calls <= 100


def test_a_version_1_journal_grows_drafts_when_it_is_resumed(tmp_path):
    import shutil
    from pathlib import Path

    fixture = Path(__file__).parents[1] / "journal" / "fixtures" / "version-1.db"
    shutil.copy(fixture, tmp_path / "journal.db")
    with Journal(tmp_path / "journal.db", read_only=True) as journal:
        before = fold(journal).sha256()
    with Journal(tmp_path / "journal.db") as journal:
        assert journal.drafts(0) == {}
        assert {attempt.tries for _, attempt in journal.attempts()} == {1}
        assert fold(journal).sha256() == before
    with Journal(tmp_path / "journal.db", read_only=True) as journal:
        assert fold(journal).sha256() == before
