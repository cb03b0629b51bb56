"""What every operator promises (`elm.variation.base`), whether or not it asks a model."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from operator_kit import PROGRAM, WEIRD, Scripted, Toy, parent, python, vector

from elm.candidate import Proposal, Status, canonical_hash
from elm.models import Completion, ModelError
from elm.variation import OPERATORS, Operator, Order, build

CONFIGS = Path(__file__).parents[2] / "configs" / "variation"
ASKING = ["crossover", "diff", "prompt", "rewrite"]
FREE = ["gaussian", "iso_line", "random", "syntax_tree"]
NAMES = [*ASKING, *FREE, "mixed"]


def _vector(n: int) -> Any:
    return vector([0.1 * n, -0.5, 2.0], n)


def _python(n: int) -> Any:
    return python(PROGRAM.replace("2.5", f"{n}.5"), n)


PARENTS = dict.fromkeys(NAMES, _python) | {"gaussian": _vector, "iso_line": _vector}
WANTED = {"random": 0, "gaussian": 1, "rewrite": 1, "diff": 1, "crossover": 3}
SIBLINGS = {"prompt": 8, "mixed": 8}


def say(request: Any, number: int) -> str:
    """A sound answer in the form that is asked for; what is new in it, the seed decides."""
    new = f"rows = [{request.seed % 100_003}]"
    asked = "\n".join(turn.content for turn in request.messages)
    if not request.messages:
        if request.prompt[-1] in "([,=+*/<>-":  # the rest of a line: with another value in it
            rest = request.avoid.split("\n")[0]
            value = str(request.seed % 1009)
            return re.sub(r"[\w.\"]+|(?<=\[)(?=\])", value, rest, count=1) + "\n"
        return f"\n    {new}\n    return rows\n"
    if "<<<<<<< SEARCH" in asked:
        block = f"<<<<<<< SEARCH\n    rows = []\n=======\n    {new}\n>>>>>>> REPLACE\n"
        # A model that goes on with an answer writes what it was not yet given of it.
        return block.removeprefix(request.prefill)
    program = PROGRAM.replace("rows = []", new)
    return f"{program}```\n" if request.prefill else f"Like this:\n```python\n{program}```\n"


def operator(name: str, answer: Any = say, continues: bool = True, **changes: Any) -> Operator:
    settings = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    assert settings["name"] == name
    return build(settings | changes, Toy(), Scripted(answer, continues=continues))


def orders(name: str, count: int) -> list[Order]:
    made: Callable[[int], Any] = PARENTS[name]
    wanted = operator(name).parents
    return [Order(tuple(made(i + j + 1) for j in range(wanted)), 1000 + i) for i in range(count)]


@pytest.mark.parametrize("name", NAMES)
def test_it_says_who_it_is(name: str) -> None:
    made = operator(name)
    asks = name not in FREE
    assert (made.name, made.model_name) == (name, "script" if asks else "")
    assert made.siblings == SIBLINGS.get(name, 1)
    assert made.parents == WANTED.get(name, 2)
    assert made.calls >= 1 if asks else made.calls == 0
    assert (made.allocation is not None) == (name == "mixed") and made.novelty is None


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


@pytest.mark.parametrize("name", [*ASKING, "mixed"])
@pytest.mark.parametrize("continues", [True, False])
def test_a_models_children_come_with_what_they_cost(name: str, continues: bool) -> None:
    asked = orders(name, 20)
    for order, made in zip(asked, operator(name, continues=continues).propose(asked), strict=True):
        assert made.status is None, made.detail
        assert made.program is not None and canonical_hash(made.program)
        if made.operator == "syntax_tree":
            assert not made.attempts
            continue
        (attempt,) = made.attempts
        assert attempt.model == "script" and attempt.prompt_tokens == 5
        assert str(order.parents[0].candidate.id) + ".5" in attempt.prompt


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
            assert proposal.status in (Status.NO_CHANGE, Status.SYNTAX_ERROR, Status.PATCH_FAILED)
            assert proposal.detail and "\n" not in proposal.detail
        elif proposal.status is not None:
            assert name not in FREE and proposal.detail and "\n" not in proposal.detail
        else:
            assert proposal.status is None
            for file, text in proposal.program.files.items():
                if file.endswith(".py"):
                    ast.parse(text)
                elif file.endswith(".json") and name in FREE:
                    json.loads(text)


# What models do say. `None`: the answer has no length that a model would give.
STRANGE: dict[str, Any] = {
    "nothing": "",
    "blanks": "  \n\t\n ",
    "large": "x = 1  # and so on\n" * 11_000,  # 200 KB
    "large nonsense": " @@ (" * 40_000,
    "HTML": "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>",
    "null": "\0" * 50 + "\n    return [\0]\n",
    "surrogates": "\ud800\udfff\n    return ['\ud800']\n",
    "prose": "I would rather not write code today.",
    "deep": "\n    return " + "(" * 5_000,
    "unclosed": "```python\ndef draw(width, height):\n    return [",
    "markers": "<<<<<<< SEARCH\n=======\n>>>>>>> REPLACE\n@@ -1 +1 @@\n-\n+\n",
    "an error": Completion(
        text="", prompt_tokens=3, completion_tokens=0, finish_reason="error", error="too busy"
    ),
    "cut": Completion(
        text="\n    a = [1,\n    2", prompt_tokens=3, completion_tokens=9, finish_reason="length"
    ),
    "no model": ModelError("the endpoint is gone"),
}


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize("continues", [True, False])
def test_whatever_a_model_says_is_a_child_or_a_status(
    name: str, kind: str, continues: bool
) -> None:
    asked = orders(name, 4)
    before = msgspec.json.encode(asked)
    made = operator(
        name, lambda request, number: STRANGE[kind], continues, retries=1, redraws=2
    ).propose(asked)
    assert len(made) == 4 and msgspec.json.encode(asked) == before
    for proposal in made:
        if proposal.status is None:
            assert proposal.program is not None and canonical_hash(proposal.program)
        else:
            assert proposal.detail and "\n" not in proposal.detail
        assert 1 <= len(proposal.attempts) <= 4
        blob = msgspec.json.encode(proposal)
        assert msgspec.json.decode(blob, type=Proposal) == proposal
        assert b"\\u0000" not in blob
    if kind in ("nothing", "blanks"):
        assert {p.status for p in made} == {Status.EMPTY_OUTPUT}
        assert {len(p.attempts) for p in made} == {2}
    if kind in ("an error", "no model"):
        assert {p.status for p in made} == {Status.MODEL_ERROR}
        assert {p.detail for p in made} == {
            "too busy" if kind == "an error" else STRANGE[kind].args[0]
        }
        assert {len(p.attempts) for p in made} == {1}
    if kind == "large":
        assert all(p.program is None or len(p.program.source) <= 65_536 for p in made)


@pytest.mark.parametrize("name", ASKING)
def test_settings_of_a_file_are_those_of_the_class(name: str) -> None:
    """A part of a mixture has the settings of its class, not of its file."""
    settings = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    given, bare = operator(name), build({"name": name}, Toy(), Scripted(say))
    hidden = {"_model", "_shingles", "_environment", "_objective", "_prompt"}
    one, two = ({k: v for k, v in vars(o).items() if k not in hidden} for o in (given, bare))
    assert one == two and len(settings) > 4


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


@pytest.mark.parametrize("name", ASKING)
def test_a_model_and_something_to_say_are_needed(name: str) -> None:
    with pytest.raises(
        ValueError, match=rf"variation: '{name}' needs a language model; model=none"
    ):
        build({"name": name}, Toy(), None)
    mute = Toy()
    mute.prompt = None  # type: ignore[assignment]
    with pytest.raises(ValueError, match="variation: environment 'toy' has nothing to tell"):
        build({"name": name}, mute, Scripted(say))


def test_random_needs_a_generator() -> None:
    class Mute(Toy):
        name = "mute"

        def random_program(self, rng: Any) -> Any:
            raise LookupError("environment 'mute' generates no random programs")

    with pytest.raises(ValueError, match=r"variation: environment 'mute'.*another operator"):
        build({"name": "random"}, Mute(), None)


def test_every_operator_is_tested_here() -> None:
    assert sorted(NAMES) == sorted(OPERATORS)


def test_files_that_do_not_vary_stay() -> None:
    files = {"toy.py": PROGRAM, "data.txt": "1 2 3"}
    (proposal,) = operator("syntax_tree").propose([Order((parent(files),), 1)])
    assert proposal.program is not None
    assert proposal.program.files["data.txt"] == "1 2 3"
    assert list(proposal.program.files) == list(files)
