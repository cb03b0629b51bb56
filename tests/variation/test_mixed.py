"""Mixtures of operators."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from operator_kit import PROGRAM, Scripted, Toy, python

from elm.allocation import Outcome
from elm.candidate import Status
from elm.models import Request
from elm.variation import Order, build

CHILD = f"```python\n{PROGRAM.replace('2.5', '9.5')}```"
BOTH = {"rewrite": {"weight": 0.25}, "syntax_tree": {"weight": 0.75}}


def mixed(operators: dict[str, Any], model: Any = None, **settings: Any) -> Any:
    return build({"name": "mixed", "operators": operators, **settings}, Toy(), model)


def script() -> Scripted:
    return Scripted(lambda request, number: CHILD, continues=False)


def test_orders_go_to_the_part_they_name_and_come_back_in_their_order() -> None:
    model = script()
    operator = mixed(BOTH, model)
    names = ["rewrite", "syntax_tree", "syntax_tree", "rewrite", "rewrite"]
    parents = (python(PROGRAM, 1), python(PROGRAM, 2))
    orders = [Order(parents, seed, operator=name) for seed, name in enumerate(names)]
    made = operator.propose(orders)
    assert [one.operator for one in made] == names
    assert [len(one.attempts) for one in made] == [name == "rewrite" for name in names]
    assert model.batches == [3]
    assert operator.propose(orders[::-1])[::-1] == made


def test_a_part_makes_what_it_would_make_alone() -> None:
    operator = mixed(BOTH, script())
    parents = (python(PROGRAM, 1), python(PROGRAM.replace("2.5", "3.5"), 2))
    for name in BOTH:
        alone = build({"name": name}, Toy(), script())
        for seed in range(10):
            (one,) = operator.propose([Order(parents, seed, operator=name)])
            (other,) = alone.propose([Order(parents[: alone.parents], seed)])
            assert (one.program, one.status, one.detail) == (
                other.program,
                other.status,
                other.detail,
            )


def test_it_wants_the_most_that_any_part_wants() -> None:
    operator = mixed(
        {
            "prompt": {"parents": 4, "siblings": 6, "retries": 2},
            "rewrite": {"redraws": 1, "retries": 3, "novelty": 0.9},
            "random": {},
        },
        script(),
    )
    assert (operator.parents, operator.siblings, operator.calls) == (4, 6, 5)
    assert operator.model_name == "script" and operator.novelty is not None


def test_a_mixture_that_asks_no_model_needs_none() -> None:
    operator = mixed({"random": {}, "syntax_tree": {}, "prompt": {"weight": 0}})
    assert (operator.model_name, operator.calls, operator.novelty) == ("", 0, None)
    assert operator.allocation.arms == ("random", "syntax_tree")
    made = operator.propose([Order((python(PROGRAM),) * 2, seed) for seed in range(20)])
    assert {one.operator for one in made} == {"random", "syntax_tree"}


def test_an_order_that_names_no_part_draws_one_by_weight() -> None:
    operator = mixed(BOTH, script())
    parents = (python(PROGRAM, 1), python(PROGRAM, 2))
    made = operator.propose([Order(parents, seed) for seed in range(400)])
    drawn = Counter(one.operator for one in made)
    assert 60 < drawn["rewrite"] < 140
    again = operator.propose([Order(parents, seed) for seed in reversed(range(400))])
    assert [one.operator for one in again[::-1]] == [one.operator for one in made]


def test_weights_are_kept_in_every_block_and_rewards_move_them_where_they_may() -> None:
    fixed, adaptive = mixed(BOTH, script()), mixed(BOTH, script(), adapt="ucb", floor=0.1)
    for allocation, enough in ((fixed.allocation, 100), (adaptive.allocation, 250)):
        drawn: Counter[str] = Counter()
        for block in range(25):
            for arm in allocation.ask(16, random.Random(block)):
                drawn[arm] += 1
                allocation.tell(Outcome(arm=arm, entered=arm == "rewrite"))
        assert drawn["rewrite"] == 100 if enough == 100 else drawn["rewrite"] >= enough
        assert drawn["syntax_tree"] >= 40


def test_one_operator_may_be_two_parts() -> None:
    prompts: list[Request] = []

    def answer(request: Request, number: int) -> str:
        prompts.append(request)
        return CHILD

    operator = mixed(
        {
            "bare": {"name": "rewrite", "show_fitness": False},
            "scored": {"name": "rewrite", "show_fitness": True},
        },
        Scripted(answer, continues=False),
    )
    orders = [Order((python(PROGRAM),), 1, operator=name) for name in ("bare", "scored")]
    made = operator.propose(orders)
    assert [one.operator for one in made] == ["bare", "scored"]
    assert ["score: 0" in request.text for request in prompts] == [False, True]


def test_a_part_that_fails_is_still_named() -> None:
    model = Scripted(lambda request, number: "", continues=False)
    (made,) = mixed({"rewrite": {}}, model).propose([Order((python(PROGRAM),), 1)])
    assert (made.status, made.operator) == (Status.EMPTY_OUTPUT, "rewrite")


def test_an_order_for_a_part_that_is_not_there_is_a_defect() -> None:
    with pytest.raises(ValueError, match="no part 'diff', known: rewrite, syntax_tree"):
        mixed(BOTH, script()).propose([Order((python(PROGRAM),), 1, operator="diff")])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "variation.operators: 'mixed' needs this setting"),
        ({"operators": {}}, "variation.operators: expected at least one with a weight above 0"),
        ({"operators": {"random": {"weight": 0}}}, "variation.operators: expected at least one"),
        ({"operators": {"random": {"weight": -1}}}, "variation.operators.random.weight: .*got -1"),
        ({"operators": {"random": {"weight": "a"}}}, "variation.operators.random.weight: .*'a'"),
        ({"operators": {"random": {"weight": float("nan")}}}, "operators.random.weight: .*nan"),
        ({"operators": {"random": 3}}, "variation.operators: .*got"),
        ({"operators": {"promt": {}}}, "operators.promt.name: unknown 'promt'.*mean 'prompt'"),
        ({"operators": {"mixed": {}}}, "variation.operators.mixed.name: unknown 'mixed', known"),
        (
            {"operators": {"prompt": {"shape": "oval"}}},
            "variation.operators.prompt.shape: expected one of .*got 'oval'",
        ),
        (
            {"operators": {"prompt": {"shape": "splice"}}},
            "variation.operators.prompt.shape: 'splice' goes on with a text.*choose auto or chat",
        ),
        ({"operators": {"prompt": {"sahpe": 1}}}, "operators.prompt.sahpe: .*mean 'shape'"),
        ({"operators": BOTH, "adapt": "yes"}, "variation.adapt: expected one of none, ucb"),
        ({"operators": BOTH, "adapt": "ucb", "floor": 0.6}, "variation.floor: expected 0 to 0.5"),
        ({"operators": BOTH, "reward": "joy"}, "variation.reward: expected one of entered, gain"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        build({"name": "mixed", **settings}, Toy(), script())
    assert "\n" not in str(caught.value)


def test_a_part_that_needs_a_model_says_so() -> None:
    with pytest.raises(
        ValueError, match=r"variation.operators.rewrite: 'rewrite' needs a language"
    ):
        mixed(BOTH)
