"""The shape `versions`: numbered versions in ascending score, and the opening of the next."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operator_kit import WEIRD, Scripted, Toy, python

from elm.candidate import Status
from elm.variation import Order
from elm.variation.prompt import PromptOperator
from elm.variation.versions import dissect_opening, renamed
from environments.base import Prompt

GOOD = """\
import math


def helper(x):
    return x


def draw(width, height):
    \"\"\"Paints a picture.\"\"\"
    rows = [helper(width)]
    return rows + draw(0, 0)
"""
BAD = "def draw(width, height):\n    # draw(1) is no call\n    return ['draw']\n"


class Documented(Toy):
    prompt = Prompt(
        instruction="draw(width, height) returns the rows of a picture.",
        file="toy.py",
        entry="draw",
        opening='def draw(width, height):\n    """Paints a picture."""',
        preamble="# There is nothing to import.\n",
    )


def ask(answer, parents=None, kind=Documented, continues=True, **settings):
    model = Scripted(lambda request, number: answer, continues=continues)
    operator = PromptOperator(kind(), model, shape="versions", **settings)
    if parents is None:
        parents = (python(GOOD, 1, fitness=7.0), python(BAD, 2, fitness=3.0))
    (proposal,) = operator.propose([Order(tuple(parents), 1)])
    return proposal, model.requests[0]


PROMPT = """\
# There is nothing to import.


def draw_v0(width, height):
    # draw(1) is no call
    return ['draw']


def draw_v1(width, height):
    \"\"\"Improved version of `draw_v0`.\"\"\"
    rows = [helper(width)]
    return rows + draw_v1(0, 0)


import math


def helper(x):
    return x


def draw_v2(width, height):
    \"\"\"Improved version of `draw_v1`.\"\"\""""


def test_the_prompt_shows_versions_by_ascending_score():
    for order in (1, -1):
        parents = (python(GOOD, 1, fitness=7.0), python(BAD, 2, fitness=3.0))[::order]
        _, request = ask("\n    return [1]\n", parents)
        assert request.prompt == PROMPT
        assert request.prompt[: request.shared] == "# There is nothing to import.\n\n\n"
    _, request = ask("\n    return [1]\n", show_fitness=True)
    assert request.prompt.index("# score: 3") < request.prompt.index("# score: 7")


def test_the_child_has_the_name_the_imports_and_the_docstring_of_the_environment():
    body = "    if width:\n        return draw_v2(0, height)  # draw_v2\n    return [math.pi]\n"
    proposal, _ = ask(f"\n{body}\nx = 1\n")
    assert proposal.status is None
    assert proposal.program.source == GOOD.replace(
        "    rows = [helper(width)]\n    return rows + draw(0, 0)\n",
        body.replace("draw_v2(", "draw("),
    )


@pytest.mark.parametrize("continues", [True, False])
@pytest.mark.parametrize("call", ["draw_v0(1, 2)", "[draw_v1]", "draw_v7(0, 0)"])
def test_a_child_that_calls_an_earlier_version_is_refused(call, continues):
    body = f"\n    return {call}\n"
    said = body if continues else f"def draw_v2(width, height):{body}"
    proposal, _ = ask(said, continues=continues)
    assert proposal.status is Status.PATCH_FAILED
    name = call.strip("[]").partition("(")[0]
    assert proposal.detail == f"calls {name}, a version that exists in the prompt alone"
    assert proposal.program is not None


def test_without_parents_the_opening_is_the_environments_own():
    proposal, request = ask("\n    return []\n", parents=())
    assert request.prompt.endswith('def draw_v0(width, height):\n    """Paints a picture."""')
    assert proposal.program.source == Documented.prompt.opening + "\n    return []\n"
    proposal, request = ask("\n    return []\n", parents=(), kind=Toy)
    assert proposal.program.source == "def draw(width, height):\n    return []\n"


CHILD = "def draw(width, height):\n    {doc}return [draw(1, 2)]\n"
DOC = '"""Paints a picture."""\n    '
ANSWERS = {
    "plain": "def draw_v2(width, height):\n    return [draw_v2(1, 2)]\n",
    "with its docstring": (
        'def draw_v2(width, height):\n    """Improved version of `draw_v1`."""\n'
        "    return [draw_v2(1, 2)]\n"
    ),
    "under the first name": "def draw(width, height):\n    return [draw(1, 2)]\n",
    "fenced, with what it was shown": (
        f"Here you are:\n```python\n{PROMPT}\n    return [draw_v2(1, 2)]\n```\nIt is better."
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_of_conversations_are_read_as_well(name):
    proposal, request = ask(ANSWERS[name], continues=False)
    (turn,) = request.messages
    assert PROMPT in turn.content and turn.content.startswith("draw(width, height) returns")
    assert proposal.status is None, proposal.detail
    documented = "Improved" in ANSWERS[name]
    child = CHILD.format(doc=DOC if documented else "")
    assert proposal.program.source.endswith(child)
    assert "draw_v" not in proposal.program.source


def test_helpers_of_the_parent_come_along_where_an_answer_uses_them():
    said = "def draw_v2(width, height):\n    return [helper(3)]\n"
    proposal, _ = ask(said, continues=False)
    assert proposal.program.source == GOOD[: GOOD.index("def draw")] + said.replace("_v2", "")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("I cannot do that.", Status.EMPTY_OUTPUT),
        ("def draw_v2(width:\n    return\n", Status.SYNTAX_ERROR),
        ("def other(width):\n    return 1\n", Status.PATCH_FAILED),
        ("x = 1\n", Status.PATCH_FAILED),
    ],
)
def test_answers_that_are_no_program(said, status):
    proposal, _ = ask(said, continues=False)
    assert proposal.status is status and proposal.detail


def test_a_broken_answer_is_asked_for_again():
    model = Scripted(lambda r, n: "\n    return draw_v0()\n" if not n else "\n    return [2]\n")
    operator = PromptOperator(Documented(), model, shape="versions", retries=1)
    (proposal,) = operator.propose([Order((python(BAD),), 1)])
    assert proposal.status is None and len(proposal.attempts) == 2
    assert "calls draw_v0, a version" in model.requests[1].prompt


def test_copies_of_a_parent_are_no_children():
    best = GOOD.partition('picture."""')[2].replace("draw(", "draw_v2(")
    proposal, request = ask(best)
    assert proposal.status is Status.NO_CHANGE
    assert request.avoid == best.replace("_v2", "").rstrip("\n")


@pytest.mark.parametrize("continues", [True, False])
@pytest.mark.parametrize("name", WEIRD)
def test_parents_of_all_kinds_are_survived(name, continues):
    for said in (
        "\n    return [1]\n",
        "```python\ndef draw_v1(a, b):\n    return 1\n```",
        "(",
        "\\",
    ):
        for kind in (Toy, Documented):
            proposal, _ = ask(said, (WEIRD[name], python(BAD, 3)), kind, continues)
            assert proposal.program is not None or proposal.status is not None


def test_names_change_where_they_are_names():
    text = "def f(a):\n    '''f é f'''\n    é = f(a.f, f=1); return [f, 'f']  # f\n"
    new = renamed(text, {"f": "g_v1"})
    assert new == "def g_v1(a):\n    '''f é f'''\n    é = g_v1(a.f, f=1); return [g_v1, 'f']  # f\n"
    assert renamed(new, {"g_v1": "f"}) == text
    assert renamed("def f(:\n  f", {"f": "g"}) == "def g(:\n  g"


@given(st.sampled_from(["", '    """Says."""', "    '''a\n    b'''"]), st.booleans())
def test_openings_come_apart_and_together_again(docstring, typed):
    signature = "def f(\n    a: int,  # first\n) -> int:" if typed else "def f(a):"
    for rest in ("", "    x = a", "    x = a\n    y = x"):
        text = "\n".join(part for part in (signature, docstring, rest) if part)
        found = dissect_opening(text)
        assert found.signature == signature and found.docstring == docstring
        assert found.text(docstring) == text
        ast.parse(found.improved("f_v0") + "\n    pass")


def test_a_function_in_one_line_is_shown_as_it_is():
    first, second = "def draw(a, b): return [a]\n", "def draw(a, b): return [b]\n"
    _, request = ask("\n    return []\n", (python(first, 1), python(second, 2, fitness=1.0)))
    assert "def draw_v0(a, b): return [a]\n\n\ndef draw_v1(a, b): return [b]\n" in request.prompt
