"""Diffs in every layout apply to exactly what they say, or not at all."""

from __future__ import annotations

import contextlib
import random
import re
import time
from collections import Counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from patch_kit import LAYOUTS, damage, damaged, edited, program

from elm.variation.patch import PatchError, apply, parse

PARENT = """\
def make_walker():
    wc = walker_creator()
    a = wc.add_joint(0, 0)
    b = wc.add_joint(10, 0)
    if a:
        wc.add_muscle(a, b, 2.0, 0.0)

    return wc.get_walker()
"""
OLD, NEW = "    a = wc.add_joint(0, 0)\n", "    a = wc.add_joint(0, 5)\n    c = 1\n"
CHILD = PARENT.replace(OLD, NEW)

BLOCK = f"<<<<<<< SEARCH\n{OLD}=======\n{NEW}>>>>>>> REPLACE\n"
HUNK = """\
@@ -2,3 +2,4 @@ def make_walker():
     wc = walker_creator()
-    a = wc.add_joint(0, 0)
+    a = wc.add_joint(0, 5)
+    c = 1
     b = wc.add_joint(10, 0)
"""
NAMES = "--- a/walker.py\n+++ b/walker.py\n"

GOLD = {
    "blocks": BLOCK,
    "blocks in prose": f"Sure, I'd do this:\n\n{BLOCK}\nIt's better, since 2 < 3.",
    "blocks of aider": f"walker.py\n```python\n{BLOCK}```\n",
    "blocks with the file in the fence": f"```python:walker.py\n{BLOCK}```\n",
    "blocks under a heading": f"### `walker.py`:\n{BLOCK}",
    "fences in the block": "<<<<<<< SEARCH\n```python\n" + OLD + "```\n=======\n```python\n" + NEW
    + "```\n>>>>>>> REPLACE",
    "other words": BLOCK.replace("SEARCH", "ORIGINAL").replace("REPLACE", "UPDATED"),
    "no words": BLOCK.replace(" SEARCH", "").replace(" REPLACE", ""),
    "other lengths": BLOCK.replace("<<<<<<<", "<<<<<").replace(">>>>>>>", ">>>>>>>>"),
    "blanks behind the markers": BLOCK.replace("SEARCH", "SEARCH  ").replace("=======", "======= "),
    "blank lines around": f"<<<<<<< SEARCH\n\n{OLD}\n=======\n\n{NEW}\n>>>>>>> REPLACE",
    "indentation left out": "<<<<<<< SEARCH\na = wc.add_joint(0, 0)\n=======\n"
    "a = wc.add_joint(0, 5)\nc = 1\n>>>>>>> REPLACE",
    "first indentation left out": "<<<<<<< SEARCH\na = wc.add_joint(0, 0)\n"
    "    b = wc.add_joint(10, 0)\n=======\na = wc.add_joint(0, 5)\n    c = 1\n"
    "    b = wc.add_joint(10, 0)\n>>>>>>> REPLACE",
    "tabs": BLOCK.replace("    ", "\t"),
    "blanks behind lines": BLOCK.replace("(0, 0)", "(0, 0)   "),
    "a block that says nothing": f"<<<<<<< SEARCH\n{OLD}=======\n{OLD}>>>>>>> REPLACE\n{BLOCK}",
    "a block twice": BLOCK + BLOCK,
    "escaped": BLOCK.replace("<", "&lt;").replace(">", "&gt;"),
    "thought first": f"<think>\n<<<<<<< SEARCH\nno\n</think>\n{BLOCK}",
    "carriage returns": BLOCK.replace("\n", "\r\n"),
    "nearly": BLOCK.replace(OLD, f"    wc = walker_creators( )\n{OLD}").replace(
        NEW, f"    wc = walker_creators( )\n{NEW}"
    ),
    "unified": NAMES + HUNK,
    "unified of git": f"diff --git a/walker.py b/walker.py\nindex 12ab..34cd 100644\n{NAMES}{HUNK}",
    "unified in a fence": f"Like so:\n```diff\n{NAMES}{HUNK}```\n- It is better.",
    "without names": HUNK,
    "without a header": f"```diff\n{HUNK.split(chr(10), 1)[1]}```",
    "without anything": HUNK.split("\n", 1)[1],
    "without numbers": re.sub("@@.*", "@@ ... @@", HUNK),
    "wrong numbers": re.sub("@@.*", "@@ -40,9 +41,12 @@", HUNK),
    "prose behind wrong numbers": re.sub("@@.*", "@@ -4,9 +4,9 @@", HUNK) + "\nThis is better.",
    "prose behind right numbers": HUNK + "This is better.",
    "blanks lost": HUNK.replace("\n     ", "\n    "),
    "no newline at the end": HUNK + "\\ No newline at end of file\n",
    "wrong words around": HUNK.replace("wc = walker_creator()", "wc = walker_creators( )"),
    "of OpenAI": "*** Begin Patch\n*** Update File: walker.py\n" + re.sub("@@.*", "@@", HUNK)
    + "*** End Patch",
    "diff model": " " + HUNK,
    "diff model that goes on": f" {HUNK}<|endoftext|><NME> other.py\n<BEF> x\n<DFF>",
    "diff model from the start": f"<NME> walker.py\n<BEF> {PARENT}<MSG> Small.\n<DFF> {HUNK}",
}  # fmt: skip


@pytest.mark.parametrize("name", GOLD)
def test_every_layout_applies(name: str) -> None:
    assert apply({"walker.py": PARENT}, parse(GOLD[name])).files == {"walker.py": CHILD}


def _block(search: str, replace: str) -> str:
    return f"<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"


BAD = {
    "nothing": ("", "empty"),
    "prose": ("I would change the first joint.", "holds no diff"),
    "a program": (f"```python\n{PARENT}```", "is a program and no diff"),
    "elsewhere": (_block("    wc.add_joints(5, 5)\n", "    x = 1\n"), r"nearest line \d, \d\d %"),
    "nowhere near": (_block("§§§§\n", "x\n"), "'§§§§' not found"),
    "two misses": (_block("    return 1\n", "") * 2, "hunk 1: .*not found"),
    "overlap": (_block(OLD, "    a = 1\n") + _block(OLD, "    a = 2\n"), "hunks 1 and 2 overlap"),
    "touching": (
        _block(OLD, "") + _block(OLD + "    b = wc.add_joint(10, 0)\n", OLD + "    b = 1\n"),
        "hunks 1 and 2 overlap: one keeps line 3",
    ),
    "no change": (_block(OLD, OLD), "changes nothing"),
    "no change in a diff": ("@@ -2 +2 @@\n     wc = walker_creator()\n", "changes nothing"),
    "no end": (BLOCK[:-20], "block 1 has no >>>>>>> REPLACE"),
    "no divider": (BLOCK.replace("=======\n", ""), "no ======="),
    "two dividers": (BLOCK.replace("=======\n", "=======\n=======\n"), "several lines like ="),
    "a block in a block": (BLOCK.replace("=======", "<<<<<<< SEARCH"), "before the next block"),
    "no search": (_block("", NEW), "looks for nothing"),
    "only blank lines": (_block("\n", NEW), "looks for nothing"),
    "another file": (f"other.py\n{BLOCK}", "'other.py', which the program does not have"),
    "another file in a diff": (NAMES.replace("walker", "x") + HUNK, "'x.py'"),
    "a new file": ("--- /dev/null\n+++ b/walker.py\n@@ -0,0 +1 @@\n+x = 1\n", "would create"),
    "no file": ("--- a/walker.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n", "would delete"),
    "added file": ("*** Begin Patch\n*** Add File: a.py\n+x = 1\n*** End Patch", "would add"),
    "outside of a hunk": (f"-    a = wc.add_joint(0, 0)\nwords\n{HUNK}", "outside of any hunk"),
    "half of it": (BLOCK + _block("    nowhere = 5\n", "x\n"), "hunk 2: "),
    "dots": (_block("def make_walker():\n    ...\n", "x = 1\n"), "not found"),
    "flattened": (
        _block("if a:\nwc.add_muscle(a, b, 2.0, 0.0)\n", "if b:\nwc.add_muscle(b, a, 2.0, 0.0)\n"),
        "line 5 has the same words in another indentation",
    ),
    "too many": (_block(OLD, NEW) * 300, "more than 200"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_apply_has_a_reason(name: str) -> None:
    answer, reason = BAD[name]
    with pytest.raises(PatchError, match=reason) as caught:
        apply({"walker.py": PARENT}, parse(answer))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_a_line_number_decides_between_equal_places() -> None:
    text = "x = 1\ny = 2\n" * 3
    with pytest.raises(PatchError, match=r"'x = 1' found 3 times \(lines 1, 3, 5\)"):
        apply({"a.py": text}, parse(_block("x = 1\n", "x = 5\n")))
    hunk = "@@ -3,1 +3,1 @@\n-x = 1\n+x = 5\n"
    want = "x = 1\ny = 2\nx = 5\ny = 2\nx = 1\ny = 2\n"
    assert apply({"a.py": text}, parse(hunk)).files["a.py"] == want
    with pytest.raises(PatchError, match="found 3 times"):
        apply({"a.py": text}, parse(hunk.replace("-3", "-4")))


def test_likeness_takes_no_line_for_another() -> None:
    text = "    total = alpha_one + 1\n    total = alpha_two + 2\n    print(total)\n"
    near = _block("    total = alpha_ore + 1\n    print(totals)\n", "    pass\n")
    with pytest.raises(PatchError, match="not found"):
        apply({"a.py": text}, parse(near))
    with pytest.raises(PatchError, match="nearly as much"):
        apply({"a.py": text}, parse(_block("    total = alpha_tne + 1\n", "    pass\n")))
    shifted = _block("    total = alpha_one + 1\n    print(total)\n", "    pass\n")
    with pytest.raises(PatchError, match="not found"):
        apply({"a.py": text}, parse(shifted))


def test_kept_lines_keep_their_bytes() -> None:
    text = "def f():\n    a = 1   \n    b = 2\t\n    c = 3\n"
    hunk = "@@ -1,4 +1,4 @@\n def f():\n     a = 1\n     b = 2\n-    c = 3\n+    c = 4\n"
    assert apply({"a.py": text}, parse(hunk)).files["a.py"] == text.replace("c = 3", "c = 4")
    made = apply({"a.py": text}, parse(hunk)).notes
    assert made == ("hunk 1 fits at line 1 but for blanks at the ends of lines",)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_stay(end: str, last: bool) -> None:
    def told(text: str) -> str:
        return (text if last else text.rstrip("\n")).replace("\n", end)

    assert apply({"a.py": told(PARENT)}, parse(BLOCK)).files["a.py"] == told(CHILD)
    tail = _block("    return wc.get_walker()\n", "    x = 1\n    return x\n")
    made = apply({"a.py": told(PARENT)}, parse(tail)).files["a.py"]
    assert made == told(PARENT.replace("return wc.get_walker()", "x = 1\n    return x"))


def test_form_feeds_end_no_line() -> None:
    text = "x = 1\n\fy = 2\x1c\nz = 3\u2028\n"
    assert apply({"a.py": text}, parse(_block("z = 3\n", "z = 4\n"))).files["a.py"] == (
        "x = 1\n\fy = 2\x1c\nz = 4\n"
    )


def test_an_empty_file_is_written() -> None:
    made = apply({"a.py": ""}, parse(_block("", "x = 1\n"))).files["a.py"]
    assert made == "x = 1\n"
    assert apply({"a.py": ""}, parse("@@ -0,0 +1 @@\n+x = 1\n")).files["a.py"] == "x = 1\n"


def test_hunks_of_several_files() -> None:
    files = {"a.py": "x = 1\n", "src/b.py": "x = 1\ny = 2\n"}
    diff = "--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x = 1\n+x = 7\n"
    diff += "--- a/src/b.py\n+++ b/src/b.py\n@@ -2 +2 @@\n-y = 2\n+y = 8\n"
    want = {"a.py": "x = 7\n", "src/b.py": "x = 1\ny = 8\n"}
    assert apply(files, parse(diff)).files == want
    blocks = f"a.py\n{_block('x = 1', 'x = 7').replace('x = 1=', 'x = 1' + chr(10) + '=')}"
    blocks = "a.py\n" + _block("x = 1\n", "x = 7\n") + "\nb.py\n" + _block("y = 2\n", "y = 8\n")
    assert apply(files, parse(blocks)).files == want
    with pytest.raises(PatchError, match="names no file, and the program has 2"):
        apply(files, parse(_block("y = 2\n", "y = 8\n")))


@given(st.integers(0, 2**32), st.sampled_from(sorted(LAYOUTS)), st.integers(0, 5))
@settings(max_examples=80, deadline=None)
def test_a_diff_gives_exactly_the_edited_program(seed: int, layout: str, context: int) -> None:
    rng = random.Random(seed)
    before = program(rng, rng.randint(4, 40))
    after = edited(rng, before)
    assume(before != after)
    text = LAYOUTS[layout](before, after, context)
    made = apply({"toy.py": "\n".join(before) + "\n"}, parse(text)).files["toy.py"]
    assert made == "\n".join(after) + "\n"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_damaged_diff_is_never_applied_wrongly(layout: str) -> None:
    """Every line that is new stands in the diff, every line that is gone is one it shows."""
    seen: Counter[str] = Counter()
    for seed in range(250):
        rng = random.Random(seed)
        before = program(rng, rng.randint(4, 40))
        after = edited(rng, before)
        if before == after:
            continue
        text = damaged(rng, LAYOUTS[layout](before, after))
        parent = "\n".join(before) + "\n"
        try:
            made = apply({"toy.py": parent}, parse(text)).files["toy.py"]
        except PatchError as error:
            assert str(error) and "\n" not in str(error)
            seen["refused"] += 1
            continue
        assert made != parent
        intended = made == "\n".join(after) + "\n"
        seen["intended" if intended else "other"] += 1
        assert intended or not damage(before, text, made.split("\n")[:-1]), (seed, text)
    assert seen["refused"] > 40 and seen["intended"] > 40


@given(st.text(alphabet="<>=SEARCHPLB@+- \n\t0123456789,ax*/.'", max_size=200))
@settings(max_examples=80, deadline=None)
def test_only_patch_errors_are_raised(text: str) -> None:
    try:
        made = apply({"a.py": "a = 1\n\nx = a\n"}, parse(text))
    except PatchError as error:
        assert str(error)
    else:
        assert made.files["a.py"] != "a = 1\n\nx = a\n"


def _seconds(text: str, parent: str) -> float:
    times = []
    for _ in range(2):
        start = time.process_time()
        with contextlib.suppress(PatchError):
            apply({"toy.py": parent}, parse(text))
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize(
    "piece",
    [" x\n", "+a\n", "@@ -1 +1 @@\n", "<<<<<<< SEARCH\n", "=======\n", BLOCK, "--- a\n+++ b\n",
     "<DFF>", "```diff\n", "\n", "&lt;", "    wc = alpho(3)\n"],
)  # fmt: skip
@pytest.mark.parametrize("head", ["", "@@ -1,3 +1,3 @@\n-y\n", "<<<<<<< SEARCH\n"])
def test_the_time_grows_with_the_length_of_the_answer(piece: str, head: str) -> None:
    def seconds(size: int) -> float:
        body = piece * (size // len(piece))
        end = "=======\nx\n>>>>>>> REPLACE\n" if head.startswith("<") else ""
        return _seconds(head + body + end, PARENT * 5)

    # Eight times the length; were it the square, it would take 64 times as long.
    assert seconds(80_000) < 24 * seconds(10_000) + 0.1


def test_likeness_has_a_bound_however_many_hunks_need_it() -> None:
    rng = random.Random(1)
    lines = ["".join(rng.choices("abcde =()", k=60)) for _ in range(1000)]
    near = [line.replace("a", "b", 2) for line in lines]
    answer = "".join(_block(f"{line}\n", f"x = {i}\n") for i, line in enumerate(near[:199]))
    with pytest.raises(PatchError, match=r"too much to compare|not found"):
        apply({"a.py": "\n".join(lines) + "\n"}, parse(answer))
    one = answer[: answer.index(">>>>>>> REPLACE\n") + len(">>>>>>> REPLACE\n")]
    made = apply({"a.py": "\n".join(lines) + "\n"}, parse(one))
    assert made.files["a.py"].startswith("x = 0\n") and "% alike" in made.notes[0]


@pytest.mark.parametrize("line", ["    wc = alpha(3)\n", "x = 1\n", "\n", "    a = {}\n"])
def test_the_time_grows_with_the_length_of_the_program(line: str) -> None:
    near = _block("    wc = alpho(3)\n    wc = alphi(4)\n    b = 1\n", "    x = 1\n")

    def seconds(size: int) -> float:
        lines = (line.replace("{}", str(i)) for i in range(size // 10))
        return _seconds(near, "".join(lines))

    assert seconds(64_000) < 24 * seconds(8_000) + 0.1
