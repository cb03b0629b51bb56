"""The diff operator: what it asks for, and what it makes of answers of every kind."""

from __future__ import annotations

import ast
import random
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operator_kit import PROGRAM, Scripted, Toy, parent, python
from patch_kit import LAYOUTS, damage, damaged, edited

from elm.candidate import MAX_SOURCE_BYTES, Proposal, Status
from elm.models import Request
from elm.variation import Order
from elm.variation.diff import Diff
from environments.base import Prompt

OLD = "    scale = 2.5  # of the waves\n"
NEW = "    scale = 3.5\n"
CHILD = PROGRAM.replace(OLD, NEW)


def block(search: str, replace: str) -> str:
    return f"<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"


def toy(**changes: Any) -> Toy:
    made = Toy()
    made.prompt = msgspec.structs.replace(Toy.prompt, **changes)
    return made


def answered(
    answer: str, text: str | dict[str, str] = PROGRAM, prompt: dict[str, Any] | None = None,
    continues: bool = False, **settings: Any,
) -> Proposal:  # fmt: skip
    model = Scripted(lambda request, number: answer, continues=continues)
    elite = parent(text) if isinstance(text, dict) else python(text)
    operator = Diff(toy(**(prompt or {})), model, **settings)
    (made,) = operator.propose([Order((elite,), 7)])
    assert len(made.attempts) == len(model.requests)
    return made


def source(made: Proposal) -> str:
    assert made.status is None, (made.status, made.detail)
    assert made.program is not None
    return made.program.files["toy.py"]


def asked(seed: int = 7, continues: bool = False, text: str = PROGRAM, **settings: Any) -> Request:
    model = Scripted(lambda request, number: "", continues=continues)
    prompt = settings.pop("prompt", {})
    Diff(toy(**prompt), model, **settings).propose([Order((python(text),), seed)])
    return model.requests[0]


@pytest.mark.parametrize("layout", ["elm", "unified", "search_replace"])
@pytest.mark.parametrize("answer", LAYOUTS)
@pytest.mark.parametrize("continues", [True, False])
def test_answers_in_any_layout_are_taken(layout: Any, answer: str, continues: bool) -> None:
    if layout == "elm" and continues and answer == "search_replace":
        return  # it is stopped at the first line that belongs to no unified diff
    text = LAYOUTS[answer](PROGRAM.splitlines(), CHILD.splitlines())
    made = answered(text, layout=layout, continues=continues)
    assert source(made) == CHILD
    assert made.detail == ""


def test_a_conversation_says_what_is_wanted() -> None:
    request = asked()
    system, user = request.messages
    assert (system.role, user.role) == ("system", "user")
    assert "<<<<<<< SEARCH\n" in system.content and ">>>>>>> REPLACE" in system.content
    for part in (Toy.prompt.instruction, "nothing to import", PROGRAM, "score: 0", "toy.py"):
        assert part in user.content
    assert not request.prompt and not request.prefill and request.stop is None
    assert "@@ -4,3 +4,3 @@" in asked(layout="unified").messages[0].content


def test_a_model_that_goes_on_is_given_the_beginning() -> None:
    request = asked(continues=True)
    assert request.prefill == "<<<<<<< SEARCH\n" and request.stop is not None
    rest = block(OLD, NEW).removeprefix(request.prefill)
    assert source(answered(rest, continues=True)) == CHILD
    assert source(answered(block(OLD, NEW), continues=True)) == CHILD  # it began anew
    for more in ("I changed the scale.", "```\n", "def f():\n"):
        said = f"{rest}\n{more}"
        end = request.stop(said)
        assert end is not None and rest.rstrip() in said[: end + 1] and more not in said[:end]
    assert request.stop(rest) is None and request.stop(f"{rest}\n<<<<<<< SEARCH\nx") is None
    unified = asked(continues=True, layout="unified")
    assert unified.prefill == "--- toy.py\n+++ toy.py\n@@ "
    hunk = "-4 +4 @@\n-    scale = 2.5  # of the waves\n+    scale = 3.5\n"
    assert unified.stop is not None and unified.stop(f"{hunk}```\nDone") == len(hunk)
    assert source(answered(hunk, continues=True, layout="unified")) == CHILD


def test_the_layout_of_the_diff_models() -> None:
    request = asked(continues=True, layout="elm")
    assert not request.messages
    assert request.prompt.startswith(
        "<NME> toy.py\n<BEF> # There is nothing to import.\n\ndef draw("
    )
    head, message = request.prompt.rsplit("\n<MSG> ", 1)
    assert head.endswith(PROGRAM.rstrip()) and message.endswith(" draw function.\n<DFF>")
    assert request.prompt[: request.shared].endswith("import.\n\n")
    # Line numbers count what is shown, and what is shown before the program stays.
    hunk = " @@ -6 +6 @@\n-    scale = 2.5  # of the waves\n+    scale = 3.5\n"
    made = answered(hunk, continues=True, layout="elm")
    assert source(made) == CHILD
    assert request.stop is not None and request.stop(f"{hunk}<NME> a.py") == len(hunk)
    above = " @@ -1 +1 @@\n-# There is nothing to import.\n+import os\n"
    made = answered(above, continues=True, layout="elm")
    assert made.status is Status.PATCH_FAILED and "not part of it" in made.detail


def test_commit_messages_are_drawn_by_their_weights() -> None:
    def drawn(**prompt: Any) -> Counter[str]:
        model = Scripted(lambda request, number: "")
        orders = [Order((python(PROGRAM),), seed) for seed in range(400)]
        Diff(toy(**prompt), model, layout="elm").propose(orders)
        return Counter(r.prompt.split("<MSG> ")[1].split("\n")[0] for r in model.requests)

    found = drawn()
    assert set(found) == {
        "Changed draw function.",
        "Changed parameters in draw function.",
        "Small change to draw function.",
    }
    assert 120 <= found["Changed draw function."] <= 200
    assert drawn(commit_messages=(("Paint it red.", 1.0),)) == {"Paint it red.": 400}
    assert "Paint it red." in asked(prompt={"commit_messages": (("Paint it red.", 1.0),)}).text


def test_what_went_wrong_is_told_and_mended() -> None:
    answers = [block("    scale = 9\n", NEW), block(OLD, "    scale = (\n"), block(OLD, NEW)]
    model = Scripted(lambda request, number: answers[number], continues=False)
    (made,) = Diff(toy(), model, retries=2).propose([Order((python(PROGRAM),), 7)])
    assert source(made) == CHILD and len(made.attempts) == 3
    second, third = model.requests[1].text, model.requests[2].text
    assert "could not be applied: hunk 1: 'scale = 9' not found" in second
    assert "does not parse: behind the diff, toy.py (line 4): '(' was never closed" in third
    raw = Scripted(lambda request, number: ["nothing", "@@ -1 +1 @@\n"][number % 2])
    Diff(toy(), raw, layout="elm", retries=1).propose([Order((python(PROGRAM),), 7)])
    assert (
        "# The last answer could not be applied: the answer holds no diff" in raw.requests[1].prompt
    )


def test_regions_are_enforced() -> None:
    marked = "x = 1\n# EVOLVE-BLOCK-START\ndef draw():\n    return x\n# EVOLVE-BLOCK-END\ny = 2\n"
    both = block("x = 1\n", "x = 7\n") + block("    return x\n", "    return x + 1\n")
    made = answered(both, marked)
    assert source(made) == marked.replace("return x", "return x + 1")
    assert made.detail == "restored what stands before evolve block 1"
    made = answered(block("x = 1\n", "x = 7\n"), marked)
    assert made.status is Status.PATCH_FAILED and "only what may not evolve" in made.detail
    cut = block("# EVOLVE-BLOCK-END\n", "")
    made = answered(cut, marked)
    assert made.status is Status.PATCH_FAILED and "START without an end" in made.detail
    assert "EVOLVE-BLOCK-START" in asked(text=marked).messages[1].content.split("```")[-1]
    helper = "def help():\n    return 1\n\n\n"
    made = answered(
        block("    return rows\n", "    return help()\n") + block(OLD, NEW),
        helper + PROGRAM, {"evolve": "entry"},
    )  # fmt: skip
    assert source(made).startswith(helper)
    made = answered(
        block("    return 1\n", "    return 2\n"), helper + PROGRAM, {"evolve": "entry"}
    )
    assert made.status is Status.PATCH_FAILED and "only what may not evolve" in made.detail


def test_programs_of_several_files() -> None:
    files = {"toy.py": PROGRAM, "lib/tool.py": "SIZE = 3\n", "data.json": "[1]\n"}
    change = "lib/tool.py\n" + block("SIZE = 3\n", "SIZE = 4\n")
    made = answered(change, files)
    assert made.program is not None
    assert made.program.files == {**files, "lib/tool.py": "SIZE = 4\n"}
    made = answered(change, files, {"evolve": "entry"})
    assert made.status is Status.PATCH_FAILED and "where nothing evolves" in made.detail
    made = answered(block(OLD, NEW), files)
    assert made.status is Status.PATCH_FAILED and "names no file" in made.detail
    model = Scripted(lambda request, number: change, continues=False)
    Diff(toy(), model).propose([Order((parent(files),), 1)])
    assert "SIZE = 3" in model.requests[0].text and "Name the file" in model.requests[0].text


def test_an_empty_parent_is_written() -> None:
    program = "def draw(width, height):\n    return []\n"
    for elite in (python(""), parent(None), parent({})):
        model = Scripted(lambda request, number: block("", program), continues=False)
        (made,) = Diff(toy(), model).propose([Order((elite,), 1)])
        assert source(made) == program
        assert "is empty so far" in model.requests[0].text
    (made,) = Diff(toy(), model).propose([Order((), 1)])
    assert source(made) == program


def test_wrong_settings_are_named() -> None:
    model = Scripted(lambda request, number: "")
    with pytest.raises(ValueError, match=r"variation.layout: expected elm, unified or search_rep"):
        Diff(toy(), model, layout="json")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs a language model"):
        Diff(toy(), None)


# What models write that were not asked for it, and what has to come of it.
ODD: dict[str, tuple[str, Status | None, str]] = {
    "rest unchanged": (
        block(OLD, NEW + "    # ... rest unchanged\n"), Status.PATCH_FAILED, "leaves code out"),
    "dots in a diff": (
        "@@ -3,9 +3,2 @@\n-    rows = []\n-    scale = 2.5  # of the waves\n+    ...\n",
        Status.PATCH_FAILED, "leaves code out"),
    "dots between hunks": (
        "```diff\n-    scale = 2.5  # of the waves\n+    scale = 3.5\n...\n-    if scale < 4:\n"
        "+    if scale < 5:\n```", None, ""),
    "dots in the search": (
        block("def draw(width, height):\n    ...\n    return rows\n", "x\n"), Status.PATCH_FAILED,
        "not found"),
    "a whole program": (f"```python\n{CHILD}```", Status.PATCH_FAILED, "a program and no diff"),
    "a page": ("<html><body>502 Bad Gateway</body></html>", Status.PATCH_FAILED, "no diff"),
    "refusal": ("I can't help with that.", Status.PATCH_FAILED, "holds no diff"),
    "numbered lines": (
        block("4:     scale = 2.5  # of the waves\n", "4:     scale = 3\n"),
        Status.SYNTAX_ERROR, "line 4"),
    "wrong brackets": (block(OLD, "    scale = (3.5\n"), Status.SYNTAX_ERROR, "line 4"),
    "wrong indentation": (block(OLD, "  scale = 3.5\n"), Status.SYNTAX_ERROR, "unindent"),
    "escaped": (
        block("    if scale &lt; 4:\n", "    if scale &lt; 5:\n"), None, ""),
    "markdown in a block": (
        f"<<<<<<< SEARCH\n```\n{OLD}```\n=======\n```\n{NEW}```\n>>>>>>> REPLACE\n", None, ""),
    "quoted": (
        "".join(f"> {line}\n" for line in block(OLD, NEW).splitlines()), Status.PATCH_FAILED,
        "no diff"),
    "only the markers": ("<<<<<<< SEARCH\n=======\n>>>>>>> REPLACE\n", Status.PATCH_FAILED,
        "changes nothing"),
    "cut in a word": (block(OLD, NEW)[:-14], Status.PATCH_FAILED, "no >>>>>>> REPLACE"),
    "the function is gone": (block(PROGRAM, "x = 1\n"), Status.PATCH_FAILED, "not define draw"),
    "only a comment": (block(OLD, "    scale = 2.5  # other\n"), Status.NO_CHANGE, "same as its"),
    "a list of steps": (
        "1. Change the scale:\n\n" + block(OLD, NEW) + "\n2. Enjoy.\n- It is new.\n", None, ""),
    "a diff of words": ("- the old scale\n+ the new scale\n", Status.PATCH_FAILED, "not found"),
    "git's conflict": (
        f"<<<<<<< HEAD\n{OLD}=======\n{NEW}>>>>>>> feature-branch\n", Status.PATCH_FAILED,
        "no >>>>>>> REPLACE"),
    "merged": ("+" + NEW[1:], Status.PATCH_FAILED, "looks for nothing"),
    "too large": (
        block(OLD, "    scale = 3.5\n" * 9000), Status.SYNTAX_ERROR, "larger than"),
    "deep": (block(OLD, f"    scale = {'(' * 3000}1{')' * 3000}\n"), Status.SYNTAX_ERROR, "line 4"),
    "long sum": (block(OLD, f"    scale = {'1 + ' * 300}1\n"), None, ""),
    "lone surrogate": (block(OLD, "    scale = '\ud800'\n"), None, ""),
    "null byte": (block(OLD, "    scale\0 = 3.5\n"), None, ""),
    "the order of markers": (
        f">>>>>>> REPLACE\n{NEW}=======\n{OLD}<<<<<<< SEARCH\n", Status.PATCH_FAILED, "no >>>>>>>"),
    "of OpenAI, broken": (
        "*** Begin Patch\n*** Update File: toy.py\n+    scale = 3.5\n*** End Patch",
        Status.PATCH_FAILED, "looks for nothing"),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_answers_end_as_they_should(name: str) -> None:
    answer, status, detail = ODD[name]
    made = answered(answer)
    assert (made.status, detail in made.detail) == (status, True), made.detail
    assert (answered(answer, continues=True).status is None) <= (status is None)
    assert made.program is None or len(made.program.files["toy.py"]) <= MAX_SOURCE_BYTES
    if status is None:
        ast.parse(source(made))


def _judged(made: Proposal, answer: str) -> str:
    """Every answer ends with a status and a reason, or a program that is what the diff says."""
    assert "\n" not in made.detail
    if made.status is not None:
        assert made.detail
        return str(made.status)
    text = source(made)
    ast.parse(text)
    assert text != PROGRAM
    lines = text.split("\n")[:-1]
    assert not damage(PROGRAM.splitlines(), answer, lines), (answer, text)
    return "a program"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_malformed_diffs(layout: str) -> None:
    seen: Counter[str] = Counter()
    lines = PROGRAM.splitlines()
    for seed in range(200):
        rng = random.Random(seed)
        child = edited(rng, lines)
        if child == lines:
            child = [*lines, "x = 1"]
        answer = LAYOUTS[layout](lines, child)
        for _ in range(rng.randint(1, 3)):
            answer = damaged(rng, answer)
        seen[_judged(answered(answer), answer)] += 1
    assert sum(seen.values()) == 200
    assert seen["patch_failed"] > 60 and seen["a program"] > 20


def test_malformed_completions() -> None:
    pieces = [
        *("<<<<<<< SEARCH\n", "=======\n", ">>>>>>> REPLACE\n", "@@ -3,2 +3,2 @@\n", "```diff\n"),
        *(
            "```\n",
            "--- toy.py\n",
            "+++ toy.py\n",
            "<DFF>",
            "<NME> toy.py\n",
            "...\n",
            "\0",
            "\ufeff",
        ),
        *("<think>", "</think>\n", "&lt;", "# ... rest\n", "Sure, it's:\n", "- a\n", "*** End\n"),
        *(OLD, NEW, "-" + OLD, "+" + NEW, " " + OLD, "toy.py\n", "other.py\n", "\r\n", "\n", "\t"),
        *("    rows = []\n", "-    rows = []\n", " def draw(width, height):\n", "é\ud800\n"),
    ]
    seen: Counter[str] = Counter()
    for seed in range(500):
        rng = random.Random(seed)
        answer = "".join(rng.choices(pieces, k=rng.randint(1, 12)))
        if rng.random() < 0.3:
            answer = f"<<<<<<< SEARCH\n{OLD}=======\n{answer}>>>>>>> REPLACE\n"
        seen[_judged(answered(answer), answer)] += 1
    assert seen["patch_failed"] > 200 and seen["a program"] > 10


@given(st.text(max_size=200))
@settings(max_examples=50, deadline=None)
def test_any_text_has_a_verdict(text: str) -> None:
    made = answered(text)
    assert made.status in (Status.PATCH_FAILED, Status.EMPTY_OUTPUT) and made.detail


def test_the_prompt_is_as_it_was_before_evolve() -> None:
    assert Prompt(instruction="i", file="f.py", entry="e", opening="o").evolve == "file"
