"""Rewrites and crossovers: what is asked, and what becomes of the answers."""

from __future__ import annotations

from typing import Any

import pytest
from operator_kit import PROGRAM, Scripted, Toy, parent, python

from elm.candidate import Status
from elm.variation import Order, build
from environments.base import Prompt

MARKED = """\
import math

# EVOLVE-BLOCK-START
SCALE = 2
# EVOLVE-BLOCK-END


def draw(width, height):
    return [SCALE] * width
"""


def ask(
    name: str, answer: str, parents: Any, continues: bool = False, seed: int = 1, **settings: Any
) -> Any:
    model = Scripted(lambda request, number: answer, continues=continues)
    operator = build({"name": name, **settings}, Toy(), model)
    (made,) = operator.propose([Order(tuple(parents), seed)])
    return made, model.requests[0]


def numbered(*numbers: int) -> list[Any]:
    return [
        python(PROGRAM.replace("2.5", f"{n}.5"), n, fitness=float(n), metrics={"width": n + 0.25})
        for n in numbers
    ]


def test_a_rewrite_shows_one_program_with_its_score() -> None:
    made, request = ask("rewrite", f"```python\n{PROGRAM}```", numbered(4))
    system, user = request.messages
    assert (system.role, user.role) == ("system", "user")
    told = user.content
    assert "draw(width, height) returns the rows of a picture." in told
    assert "# There is nothing to import." in told
    assert "scale = 4.5" in told and "score: 4 (higher is better)" in told
    assert "metrics: width 4.25" in told
    assert "`draw` keeps its name and parameters" in told
    assert made.status is None and made.program.source == PROGRAM
    _, request = ask("rewrite", "", numbered(4), show_fitness=False)
    assert "score" not in request.text and "metrics" not in request.text


def test_a_model_that_goes_on_begins_with_the_code_and_ends_with_it() -> None:
    made, request = ask(
        "rewrite", f"{PROGRAM}```\nI hope you like it.", numbered(4), continues=True
    )
    assert request.prefill == "```python\n"
    assert made.status is None and made.program.source == PROGRAM
    assert made.attempts[0].completion == PROGRAM


def test_a_program_cannot_close_the_block_it_is_shown_in() -> None:
    text = 'def draw(width, height):\n    """\n    ```\n    Go.\n    ```\n    """\n    return [1]\n'
    _, request = ask("rewrite", "", [python(text)])
    assert "````python\n" + text.rstrip() + "\n````" in request.messages[-1].content


def test_what_may_not_evolve_stays() -> None:
    child = MARKED.replace("SCALE = 2", "SCALE = 3").replace("* width", "* height")
    made, request = ask("rewrite", f"```python\n{child}```", [python(MARKED)])
    assert made.status is None, made.detail
    assert made.program.source == MARKED.replace("SCALE = 2", "SCALE = 3")
    assert made.detail and "EVOLVE-BLOCK-START" in request.messages[-1].content


def test_what_may_not_evolve_stays_where_a_function_is_written_anew() -> None:
    made, _ = ask("crossover", "\n    return [SCALE] * 9\n", [python(MARKED)] * 3, continues=True)
    assert made.status is Status.NO_CHANGE and made.program.source == MARKED


def test_only_the_entry_may_be_named_as_what_evolves() -> None:
    class Narrow(Toy):
        prompt = Prompt(
            instruction="Draw.", file="toy.py", entry="draw", opening="def draw(w):", evolve="entry"
        )

    model = Scripted(lambda request, number: "")
    build({"name": "rewrite"}, Narrow(), model).propose([Order((python(PROGRAM),), 1)])
    assert "Change only the function `draw`" in model.requests[0].text


def test_other_files_of_the_parent_stay() -> None:
    files = {"toy.py": PROGRAM, "data.txt": "1 2 3"}
    child = PROGRAM.replace("2.5", "9.5")
    for name, answer, continues in (
        ("rewrite", f"```python\n{child}```", False),
        ("crossover", f"```python\n{child}```", False),
        ("crossover", "\n    return [1]\n", True),
        ("prompt", f"```python\n{child}```", False),
    ):
        made, _ = ask(name, answer, [parent(files)] * 3, continues)
        assert made.status is None, (name, made.detail)
        assert made.program.files["data.txt"] == "1 2 3"
        assert list(made.program.files) == ["toy.py", "data.txt"]


@pytest.mark.parametrize("name", ["rewrite", "crossover"])
def test_without_a_parent_the_opening_is_all_that_is_known(name: str) -> None:
    made, request = ask(name, f"```\n{PROGRAM}```", [])
    assert made.status is None and made.program.source == PROGRAM
    assert "draw" in request.text


def test_the_parents_of_a_crossover_are_shown_in_an_order_that_the_seed_decides() -> None:
    seen = set()
    for seed in range(30):
        for continues in (True, False):
            made, request = ask(
                "crossover", "\n    return [1]\n", numbered(1, 2, 3), continues, seed
            )
            text = request.prompt if continues else request.messages[-1].content
            order = tuple(sorted((1, 2, 3), key=lambda n: text.index(f"scale = {n}.5")))
            again = ask("crossover", "\n    return [1]\n", numbered(1, 2, 3), continues, seed)[1]
            assert again.text == request.text
            seen.add((continues, order))
            if continues:
                assert made.program.source.startswith("def draw(width, height):\n    return [1]")
    assert len(seen) == 12


def test_a_crossover_goes_on_behind_programs_alone() -> None:
    _, request = ask("crossover", "", numbered(1, 2, 3), continues=True)
    assert request.prompt.startswith("# There is nothing to import.")
    assert request.prompt.endswith("\n\n\ndef draw(width, height):")
    assert request.prompt.count("def draw") == 4 and "score" not in request.prompt
    assert request.avoid and request.penalty == 2.0
    _, request = ask("crossover", "", numbered(1, 2, 3), continues=True, show_fitness=True)
    assert request.prompt.count("# score: ") == 3


def test_the_child_of_a_crossover_keeps_the_helpers_of_the_program_shown_last() -> None:
    texts = [f"import m{n}\n\n\ndef draw(width, height):\n    return [m{n}.x]\n" for n in range(3)]
    for seed in range(6):
        made, request = ask(
            "crossover",
            "\n    return [7]\n",
            [python(t, i) for i, t in enumerate(texts)],
            True,
            seed,
        )
        last = max(range(3), key=lambda n: request.prompt.index(f"return [m{n}.x]"))
        assert made.program.source.startswith(f"import m{last}\n")


def test_a_crossover_in_a_conversation_asks_for_the_next_program() -> None:
    made, request = ask(
        "crossover", f"```python\n{PROGRAM}```", numbered(1, 3, 4), show_fitness=True
    )
    told = request.messages[-1].content
    assert told.index("Program 1:") < told.index("Program 2:") < told.index("Program 3:")
    assert "Write program 4" in told and told.count("(higher is better)") == 3
    assert made.status is None and made.program.source == PROGRAM


@pytest.mark.parametrize("name", ["rewrite", "crossover", "prompt"])
def test_an_answer_that_is_no_program_says_why(name: str) -> None:
    for answer in ("I cannot do that.", "<html><body>502</body></html>", "```python\n```"):
        made, _ = ask(name, answer, numbered(1, 2, 3)[: 1 if name == "rewrite" else 3])
        assert made.status is Status.EMPTY_OUTPUT and made.detail, answer
