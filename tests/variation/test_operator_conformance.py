"""What every operator promises (`elm.variation.base`), model-free ones here."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from operator_kit import PROGRAM, WEIRD, Toy, parent, python, vector

from elm.candidate import Proposal, Status, canonical_hash
from elm.variation import OPERATORS, Operator, Order, build

CONFIGS = Path(__file__).parents[2] / "configs" / "variation"
NAMES = ["gaussian", "iso_line", "random", "syntax_tree"]
PARENTS = {
    "gaussian": lambda n: vector([0.1 * n, -0.5, 2.0], n),
    "iso_line": lambda n: vector([0.1 * n, -0.5, 2.0], n),
    "random": lambda n: python(PROGRAM, n),
    "syntax_tree": lambda n: python(PROGRAM.replace("2.5", f"{n}.5"), n),
}


def operator(name: str) -> Operator:
    settings = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    assert settings["name"] == name
    return build(settings, Toy(), None)


def orders(name: str, count: int) -> list[Order]:
    made: Callable[[int], Any] = PARENTS[name]
    wanted = operator(name).parents
    return [Order(tuple(made(i + j + 1) for j in range(wanted)), 1000 + i) for i in range(count)]


@pytest.mark.parametrize("name", NAMES)
def test_it_says_who_it_is(name: str) -> None:
    made = operator(name)
    assert (made.name, made.model_name, made.siblings) == (name, "", 1)
    assert made.parents == {"random": 0, "gaussian": 1}.get(name, 2)


@pytest.mark.parametrize("name", NAMES)
def test_one_proposal_for_each_order_whatever_else_is_asked(name: str) -> None:
    asked = orders(name, 30)
    together = operator(name).propose(asked)
    assert len(together) == 30
    assert all(isinstance(proposal, Proposal) for proposal in together)
    one = operator(name)
    assert [one.propose([order])[0] for order in asked] == together
    assert one.propose(asked[::-1])[::-1] == together
    assert one.propose([]) == []


@pytest.mark.parametrize("name", NAMES)
def test_seeds_make_the_difference(name: str) -> None:
    parents = orders(name, 1)[0].parents
    children = operator(name).propose([Order(parents, seed) for seed in range(40)])
    texts = {json.dumps(child.program.files) for child in children if child.program}
    assert len(texts) >= 30


@pytest.mark.parametrize("name", NAMES)
def test_children_parse_and_differ_from_their_parent(name: str) -> None:
    asked = orders(name, 60)
    for order, proposal in zip(asked, operator(name).propose(asked), strict=True):
        assert proposal.status is None, proposal.detail
        assert proposal.program is not None
        child = canonical_hash(proposal.program)  # raises where it does not parse
        for own in order.parents[:1]:
            assert own.candidate.program is not None
            assert child != canonical_hash(own.candidate.program)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", WEIRD)
def test_weird_parents_never_raise(name: str, kind: str) -> None:
    healthy = PARENTS[name](1)
    asked = [
        Order(parents, seed)
        for parents in (
            (WEIRD[kind], WEIRD[kind]),
            (WEIRD[kind], healthy),
            (healthy, WEIRD[kind]),
            (WEIRD[kind],),
        )
        for seed in range(4)
    ]
    made = operator(name)
    proposals = made.propose(asked)
    assert len(proposals) == len(asked)
    assert made.propose(asked) == proposals
    for proposal in proposals:
        if proposal.program is None:
            assert proposal.status in (Status.NO_CHANGE, Status.SYNTAX_ERROR)
            assert proposal.detail and "\n" not in proposal.detail
        else:
            assert proposal.status is None
            for file, text in proposal.program.files.items():
                assert ast.parse(text) if file.endswith(".py") else json.loads(text)


@pytest.mark.parametrize("name", ["gaussian", "iso_line", "syntax_tree"])
def test_no_parents_is_a_status(name: str) -> None:
    (proposal,) = operator(name).propose([Order((), 1)])
    assert (proposal.program, proposal.status) == (None, Status.NO_CHANGE)


@pytest.mark.parametrize("name", NAMES)
def test_proposals_survive_the_journal(name: str) -> None:
    for proposal in operator(name).propose(orders(name, 10)):
        blob = msgspec.json.encode(proposal)
        assert msgspec.json.decode(blob, type=Proposal) == proposal


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "promt"}, "variation.name: unknown 'promt', known: .*did you mean 'prompt'"),
        ({"name": "gaussian", "sgima": 1}, "variation.sgima: .*did you mean 'sigma'"),
        ({"name": "gaussian", "sigma": 0}, "variation.sigma: .*> 0.0, got 0"),
        ({"name": "gaussian", "sigma": "a"}, "variation.sigma: expected `float`, got 'a'"),
        ({"name": "gaussian", "rate": 1.5}, "variation.rate: .*<= 1.0, got 1.5"),
        ({"name": "iso_line", "line_sigma": -1}, "variation.line_sigma: .*got -1"),
        ({"name": "syntax_tree", "more": 1.0}, "variation.more: .*got 1.0"),
        ({"name": "syntax_tree", "weights": {"nmber": 1}}, "weights.nmber: .*mean 'number'"),
        ({"name": "syntax_tree", "weights": {"copy": -1}}, "variation.weights: .*>= 0.0"),
        ({"name": "random", "seed": 1}, "variation.seed: unknown setting of 'random', known: none"),
    ],
)
def test_what_is_wrong_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(settings, Toy(), None)


def test_random_needs_a_generator() -> None:
    class Mute(Toy):
        name = "mute"

        def random_program(self, rng: Any) -> Any:
            raise LookupError("environment 'mute' generates no random programs")

    with pytest.raises(ValueError, match=r"variation: environment 'mute'.*another operator"):
        build({"name": "random"}, Mute(), None)


def test_every_operator_without_a_model_is_tested_here() -> None:
    assert {*NAMES, "prompt"} == set(OPERATORS)


def test_files_that_do_not_vary_stay() -> None:
    files = {"toy.py": PROGRAM, "data.txt": "1 2 3"}
    (proposal,) = operator("syntax_tree").propose([Order((parent(files),), 1)])
    assert proposal.program is not None
    assert proposal.program.files["data.txt"] == "1 2 3"
    assert list(proposal.program.files) == list(files)
