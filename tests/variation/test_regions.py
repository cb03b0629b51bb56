"""What may not evolve is the parent's, byte for byte, whatever the child is."""

from __future__ import annotations

import ast
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elm.variation.regions import RegionError, enforce, rule

MARKED = """\
import math

SIZE = 3  # never to change


# EVOLVE-BLOCK-START
def make(n):
    return n * SIZE
# EVOLVE-BLOCK-END


def evaluate(n):
    \"\"\"Scores it.\"\"\"
    return make(n) - 1
"""

TWO = """\
def make(n):
    total = 0
    # EVOLVE-BLOCK-START
    total += n
    # EVOLVE-BLOCK-END
    if total > 3:
        # EVOLVE-BLOCK-START first
        total -= 1
        # EVOLVE-BLOCK-END
    else:
        total = 5
    return total
"""

SPECIFIED = """\
\"\"\"Finds sets.\"\"\"
import numpy as np
import funsearch


@funsearch.run
def evaluate(n: int) -> int:
    return priority(n, n)


@funsearch.evolve
def priority(el: int, n: int = 2) -> float:
    \"\"\"Says how good it is.\"\"\"
    return 0.0


def tail():
    return 1
"""

PLAIN = SPECIFIED.replace("import funsearch\n", "").replace("@funsearch.run\n", "").replace(
    "@funsearch.evolve\n", ""
)  # fmt: skip


def _kept(parent: str, child: str, entry: str = "make", evolve: str = "file") -> str:
    made = enforce(parent, child, entry=entry, evolve=evolve)
    again = enforce(parent, made.text, entry=entry, evolve=evolve)
    assert again.text == made.text
    return made.text


def _outside(text: str) -> list[str]:
    """A marked file without what stands in its blocks; does not use the code under test."""
    start, end = r"(^ *# EVOLVE-BLOCK-START[^\n]*\n)", r"(?=^ *# EVOLVE-BLOCK-END\b)"
    return re.split(f"(?ms){start}(?:.*?){end}", text)


def test_the_parent_is_its_own_child() -> None:
    for text in (MARKED, TWO, SPECIFIED, PLAIN, "x = 1", "", "not python ("):
        made = enforce(text, text, entry="make", evolve="file")
        assert (made.text, made.notes) == (text, ())
    assert _kept(PLAIN, PLAIN, "priority", "entry") == PLAIN


def test_blocks_change_and_all_else_is_restored() -> None:
    child = MARKED.replace("n * SIZE", "n + SIZE").replace("SIZE = 3", "SIZE = 9")
    child = child.replace("return make(n) - 1", "return 1e9")
    made = enforce(MARKED, child, entry="make", evolve="file")
    assert made.text == MARKED.replace("n * SIZE", "n + SIZE")
    assert made.notes == (
        "restored what stands before evolve block 1",
        "restored what stands behind evolve block 1",
    )


def test_imports_and_helpers_in_a_block_stay() -> None:
    inner = "import random\n\ndef help(x):\n    return random.random() + x\n\n"
    child = MARKED.replace("def make(n):", f"{inner}def make(n):").replace("n * SIZE", "help(n)")
    assert _kept(MARKED, child) == child


def test_several_blocks() -> None:
    child = TWO.replace("+= n", "+= n * 2").replace("-= 1", "-= 7").replace("total > 3", "True")
    want = TWO.replace("+= n", "+= n * 2").replace("-= 1", "-= 7")
    assert _kept(TWO, child) == want
    with pytest.raises(RegionError, match="the program has 2 evolve blocks, the answer 1 evolve"):
        _kept(TWO, MARKED)
    with pytest.raises(RegionError, match="the program has 2 evolve blocks, the answer none"):
        _kept(TWO, "total = 3\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = 1\n# EVOLVE-BLOCK-END\n", "line 2: EVOLVE-BLOCK-END without a start"),
        ("# EVOLVE-BLOCK-START\nx = 1\n", "line 1: EVOLVE-BLOCK-START without an end"),
        ("#EVOLVE-BLOCK-START\nx = 1\n  # EVOLVE-BLOCK-START\n", "line 3: .* begins in line 1"),
    ],
)
def test_markers_come_in_pairs(text: str, reason: str) -> None:
    with pytest.raises(RegionError, match=f"the program, {reason}"):
        enforce(text, "x = 2\n", entry="make", evolve="file")
    with pytest.raises(RegionError, match="the program, "):
        rule(text, entry="make", evolve="file")
    with pytest.raises(RegionError, match=f"the answer, {reason}"):
        enforce(MARKED, text, entry="make", evolve="file")


ANSWERS_WITHOUT_MARKERS = {
    "the function": "def make(n):\n    return n - 1\n",
    "with blank lines": "\n\ndef make(n):\n    return n - 1\n\n\n",
    "without a newline": "def make(n):\n    return n - 1",
    "the whole file": MARKED.replace("# EVOLVE-BLOCK-START\n", "")
    .replace("# EVOLVE-BLOCK-END\n", "")
    .replace("n * SIZE", "n - 1"),
    "the evaluator as well": "def make(n):\n    return n - 1\n\ndef evaluate(n):\n    return 1e9\n",
}


@pytest.mark.parametrize("name", ANSWERS_WITHOUT_MARKERS)
def test_an_answer_without_markers_is_the_content(name: str) -> None:
    want = MARKED.replace("n * SIZE", "n - 1")
    assert _kept(MARKED, ANSWERS_WITHOUT_MARKERS[name]) == want


def test_content_is_moved_to_its_margin() -> None:
    inner = (
        "def make(n):\n    # EVOLVE-BLOCK-START\n    x = n\n    # EVOLVE-BLOCK-END\n    return x\n"
    )
    child = "if n:\n    x = 3\nelse:\n    x = 4\n"
    want = inner.replace("    x = n\n", "".join(f"    {x}\n" for x in child.splitlines()))
    assert _kept(inner, child) == want
    with pytest.raises(RegionError, match="does not fit between"):
        _kept(inner, "x = (\n")


@pytest.mark.parametrize(
    "content",
    [
        'def make(n):\n    return n\nx = """',  # takes in the docstring that follows
        "def make(n):\n    return n\nif make(1):\n    x = 1 + \\",
        "def make(n):\n    return (",
    ],
)
def test_a_block_cannot_swallow_what_follows(content: str) -> None:
    child = f"# EVOLVE-BLOCK-START\n{content}\n# EVOLVE-BLOCK-END\n"
    tail = '\n\n"""And more."""\nx = make(3)\n'
    try:
        made = enforce(MARKED + tail, child, entry="make", evolve="file").text
    except RegionError as error:
        assert "reaches out of it" in str(error)
    else:
        with pytest.raises(SyntaxError):
            ast.parse(made)


def test_a_block_cannot_take_the_else_that_follows() -> None:
    child = TWO.replace("        total -= 1\n", "        pass\n    if n:\n        total = 9\n")
    with pytest.raises(RegionError, match="reaches out of it"):
        _kept(TWO, child)


def test_a_block_may_stand_within_brackets() -> None:
    parent = "X = [\n    # EVOLVE-BLOCK-START\n    1,\n    # EVOLVE-BLOCK-END\n]\ny = X\n"
    assert _kept(parent, parent.replace("1,", "1, 2,")) == parent.replace("1,", "1, 2,")


@pytest.mark.parametrize(
    ("head", "decorator"),
    [
        ("import funsearch", "funsearch.evolve"),
        ("import funsearch as fs", "fs.evolve"),
        ("from funsearch import evolve", "evolve"),
        ("from funsearch import run, evolve as e", "e"),
        ("from funsearch import *", "evolve"),
        ("import funsearch\nmark = funsearch.evolve", "mark"),
        ("import funsearch", "funsearch.evolve()"),
    ],
)
def test_decorators_are_found_under_any_name(head: str, decorator: str) -> None:
    parent = SPECIFIED.replace("import funsearch", head).replace(
        "@funsearch.evolve", f"@{decorator}"
    )
    parent = parent.replace("@funsearch.run\n", "")
    child = parent.replace("0.0", "float(el)").replace("priority(n, n)", "10 ** 9")
    assert _kept(parent, child) == parent.replace("0.0", "float(el)")
    assert "`priority`" in rule(parent, entry="evaluate", evolve="file")


def test_other_decorators_mark_nothing() -> None:
    parent = "import functools\n\n@functools.cache\ndef make(n):\n    return n\n"
    assert _kept(parent, "def make(n):\n    return 2\n") == "def make(n):\n    return 2\n"
    assert rule(parent, entry="make", evolve="file") == ""


@pytest.mark.parametrize("parent", [SPECIFIED, PLAIN])
def test_a_function_keeps_its_head_and_what_it_needs(parent: str) -> None:
    child = """\
import numpy as np, math
from itertools import product as cross
EXTRA = [2]
UNUSED = 1

def weigh(x):
    return turned(x) + EXTRA[0]

def turned(x):
    return -x

@cached
def priority(el, n=3, *rest):
    # All of it is new.
    return weigh(el) + np.sin(n) + sum(1 for _ in cross([1], [2]))

def evaluate(n):
    return 10 ** 9
"""
    made = enforce(parent, child, entry="priority", evolve="entry")
    assert _kept(parent, child, "priority", "entry") == made.text
    start = parent.index("@funsearch.evolve" if "funsearch" in parent else "def priority")
    head = "@funsearch.evolve\n" if "funsearch" in parent else ""
    want = (
        parent[:start]
        + "from itertools import product as cross\nEXTRA = [2]\n\n\n"
        + "def weigh(x):\n    return turned(x) + EXTRA[0]\n\n\n"
        + "def turned(x):\n    return -x\n\n\n"
        + head
        + "def priority(el: int, n: int = 2) -> float:\n    # All of it is new.\n"
        + "    return weigh(el) + np.sin(n) + sum(1 for _ in cross([1], [2]))\n"
        + parent[parent.index("\n\ndef tail") :]
    )
    assert made.text == want
    assert "restored the signature of priority" in made.notes
    ast.parse(made.text)


def test_no_helper_takes_the_place_of_what_stands_outside() -> None:
    child = """\
import evil as np, math
table = evaluate = len
import os; tail = os.name; size = 3
def priority(el, n):
    return math.sin(el) + np.sin(n) + table(n) + size
"""
    made = _kept(PLAIN, child, "priority", "entry")
    start = PLAIN.index("def priority")
    assert made.startswith(PLAIN[:start] + "import math\nsize = 3\n\n\ndef priority(el: int")
    assert "evil" not in made and "evaluate =" not in made and "tail =" not in made


def test_a_parameter_that_comes_to_nothing_is_refused() -> None:
    child = "def priority(el, n, k=3):\n    return k * el\n"
    with pytest.raises(RegionError, match="priority reads its parameter k, which it may not add"):
        _kept(PLAIN, child, "priority", "entry")
    unread = "def priority(el, n, k=3):\n    return 2 * el\n"
    assert "def priority(el: int, n: int = 2) -> float:\n    return 2 * el\n" in _kept(
        PLAIN, unread, "priority", "entry"
    )


@pytest.mark.parametrize(
    "head",
    [
        "def make(n): return n",
        "def make(n, *, a={'b': 1}, c=lambda x: x) -> dict[str, int]: return n",
        "def make(\n    n,  # size: in lines\n    m=':',\n):  # go: on\n    return n",
        "async def make(ä, *größe, **x):\n    return 1",
        "def make():\n    'doc'",
        "class A:\n    pass\n\n@d(x=1)\n@e\ndef make(n) -> 'a:b':\n    return n",
    ],
)
def test_heads_of_all_kinds(head: str) -> None:
    for end in ("", "\n", "\nx = make(1)\n", "\r\n"):
        parent = head.replace("\n", "\r\n") + end if end == "\r\n" else head + end
        node = next(n for n in ast.parse(parent).body if getattr(n, "name", "") == "make")
        for body in (" return 42", "\n    y = 4\n    return 42"):
            made = _kept(parent, f"def make(z=4):{body}\n", "make", "entry")
            other = next(n for n in ast.parse(made).body if getattr(n, "name", "") == "make")
            assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            assert isinstance(other, ast.FunctionDef | ast.AsyncFunctionDef)
            assert ast.dump(node.args) == ast.dump(other.args)
            assert [ast.dump(d) for d in node.decorator_list] == [
                ast.dump(d) for d in other.decorator_list
            ]
            assert ast.unparse(other.body[-1]) == "return 42"
            assert made.endswith("\n") == parent.endswith("\n")


def test_methods_evolve_too() -> None:
    parent = (
        "import funsearch\n\nclass A:\n    size = 3\n\n    @funsearch.evolve\n"
        "    def make(self, n):\n        return n\n\n    def other(self):\n        return 1\n"
    )
    child = (
        "class A:\n  size = 9\n  def make(self, n):\n    if n:\n      return '''a\nb'''\n"
        "    return help(2)\n\ndef help(x):\n    return x\n"
    )
    made = _kept(parent, child)
    assert "    size = 3\n" in made and "def other" in made and made.count("class A") == 1
    assert "      if n:\n        return '''a\nb'''\n      return help(2)\n" in made
    assert made.index("def help") < made.index("class A")


def test_what_is_missing_is_said() -> None:
    with pytest.raises(RegionError, match="the answer has no function priority"):
        _kept(SPECIFIED, "def other():\n    return 1\n")
    with pytest.raises(RegionError, match="the answer does not parse: line 1: "):
        _kept(SPECIFIED, "def priority(:\n")
    with pytest.raises(RegionError, match="the parent has no function nothing"):
        _kept(SPECIFIED.replace("funsearch", "other"), SPECIFIED, "nothing", "entry")
    with pytest.raises(RegionError, match="the answer does not define evaluate"):
        _kept(MARKED.replace("EVOLVE", "X"), "x = 1\n", "evaluate")
    two = SPECIFIED.replace("def tail", "@funsearch.evolve\ndef tail")
    made = enforce(two, "def tail():\n    return 5\n", entry="evaluate", evolve="file")
    assert made.notes[0] == "kept priority, which the answer lacks"
    assert made.text == two.replace("return 1\n", "return 5\n")


ELISIONS = [
    "# ... rest unchanged",
    "# ...",
    "# … same as before",
    "# [... existing code ...]",
    "# rest of the code remains the same",
    "# Rest of your function here",
    "# existing code",
    "# (unchanged)",
    "# The remaining code stays as it was.",
    "# other methods remain unchanged...",
    "# previous implementation unchanged",
    "...",
    "# code is unchanged",
]


@pytest.mark.parametrize("remark", ELISIONS)
@pytest.mark.parametrize("parent", [MARKED, SPECIFIED, PLAIN, "def make(n):\n    return n\n"])
def test_code_that_is_left_out_is_refused(parent: str, remark: str) -> None:
    entry = "priority" if "priority" in parent else "make"
    child = f"def {entry}(n):\n    x = n\n    {remark}\n    return x\n"
    with pytest.raises(RegionError, match="line 3 leaves code out") as caught:
        enforce(parent, child, entry=entry, evolve="file")
    assert "\n" not in str(caught.value)


def test_comments_and_dots_that_leave_nothing_out_stay() -> None:
    fine = """\
from typing import Protocol, overload

class Shape(Protocol):
    def area(self) -> float: ...

@overload
def make(n: int) -> int: ...
def make(n):
    # the rest of the points lie on a circle
    # same radius for every wheel
    # see above; other joints follow here
    x = data[..., 0]
    # more muscles
    return x
"""
    assert _kept("def make(n):\n    return n\n", fine) == fine
    known = "def make(n):\n    # ... and so on\n    return n\n"
    assert _kept(known, known.replace("return n", "return 2")) == known.replace(
        "return n", "return 2"
    )


def test_line_ends_are_the_parents() -> None:
    parent = MARKED.replace("\n", "\r\n")
    child = MARKED.replace("n * SIZE", "n\n")
    made = _kept(parent, child)
    assert made == MARKED.replace("n * SIZE", "n\n").replace("\n", "\r\n")
    plain = _kept(PLAIN.replace("\n", "\r\n"), PLAIN.replace("0.0", "1.0"), "priority", "entry")
    assert plain == PLAIN.replace("0.0", "1.0").replace("\n", "\r\n")


PIECES = [
    *(
        "import os\n",
        "x = 1\n",
        "def make(n):\n",
        "def priority(el, n):\n",
        "    return n\n",
        "'''\n",
    ),
    *(
        "# EVOLVE-BLOCK-START\n",
        "# EVOLVE-BLOCK-END\n",
        "    return os.x(n)\n",
        "class A:\n",
        "\\\n",
    ),
    *(
        "def evaluate(n):\n    return 9\n",
        "    if n:\n",
        "        pass\n",
        "(\n",
        ")\n",
        "\f\n",
        "\n",
    ),
    *(
        "def priority(el, n):\n    return el\n",
        "def make(n):\n    return helped(n)\n",
        '"""',
        "\r\n",
    ),
    *(
        "def helped(n):\n    return x\n",
        "@funsearch.evolve\n",
        "    # ... rest\n",
        "é = 2\n",
        "\u2028",
    ),
]


@given(st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_random_children_never_touch_what_stands_outside(seed: int) -> None:
    rng = random.Random(seed)
    child = "".join(rng.choices(PIECES, k=rng.randint(1, 9)))
    for parent, entry, evolve in (
        (MARKED, "make", "file"),
        (TWO, "make", "file"),
        (SPECIFIED, "priority", "file"),
        (PLAIN, "priority", "entry"),
    ):
        if rng.random() < 0.5:  # a child with its parent's frame
            place = rng.randrange(len(parent))
            child = parent[:place] + child + parent[rng.randrange(place, len(parent)) :]
        try:
            made = _kept(parent, child, entry, evolve)
        except RegionError as error:
            assert str(error) and "\n" not in str(error)
            continue
        if "EVOLVE" in parent:
            assert _outside(made) == _outside(parent)
            continue
        first = parent.index("@funsearch.evolve" if "@funsearch" in parent else "def priority")
        assert made.startswith(parent[:first])
        assert made.endswith(parent[parent.index("\n\ndef tail") :])
        head = parent[first : parent.index('    """Says')]
        assert head.strip() in made
        names = [getattr(node, "name", "") for node in ast.parse(made).body]
        assert names.count("priority") == names.count("evaluate") == names.count("tail") == 1
