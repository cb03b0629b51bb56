"""Near copies: what a sketch keeps, and how alike programs are."""

from __future__ import annotations

import random
import subprocess
import sys
from itertools import pairwise

import pytest
from operator_kit import PROGRAM, WEIRD, Toy, python

from elm.candidate import Program
from elm.variation import Order
from elm.variation.novelty import Shingles, tokens
from elm.variation.syntax_tree import SyntaxTree


def sketch(text: str) -> frozenset[int]:
    return Shingles().sketch(Program({"toy.py": text}))


def similarity(one: str, other: str) -> float:
    return Shingles().nearest(sketch(one), [sketch(other)])


def jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / len(one | other)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("x=1 # c\n", "x = 1"),
        ('"""Doc."""\nx = 1', "x = 1"),
        ('def f():\n    """Doc."""\n    return 1', "def f ( ) : return 1"),
        ('f(\n"""a""",\n\'b\')', 'f ( """a""" , \'b\' )'),
        ('x = "# no comment"  # one', 'x = "# no comment"'),
        ("a //= 2 ** b -> c != d", "a //= 2 ** b -> c != d"),
        ("x = 1.5e3 + .5", "x = 1.5e3 + . 5"),
        ("x = f'{y}' rb'z'", "x = f'{y}' rb'z'"),
        ("größe = 'päng'", "größe = 'päng'"),
        ("x = 'open\ny = 2", "x = 'open y = 2"),
        ('x = """open\ny = 2', 'x = """open\ny = 2'),
        ("x \\\n = 1", "x = 1"),
        ("", ""),
    ],
)
def test_tokens(text: str, kept: str) -> None:
    assert "".join(tokens(text)) == kept.replace(" ", "") or " ".join(tokens(text)) == kept


def test_layout_comments_and_docstrings_do_not_count() -> None:
    other = '# A comment.\n"""Words."""\n' + PROGRAM.replace(" = ", "=").replace("    ", "  ")
    assert similarity(PROGRAM, other) == 1.0


def test_the_more_is_changed_the_less_alike() -> None:
    one = PROGRAM.replace("2.5", "2.75")
    two = one.replace('"blue"', '"red"')
    three = two.replace("y % 3", "y + 3").replace("scale", "size")
    found = [similarity(PROGRAM, text) for text in (PROGRAM, one, two, three, "x = 1\n")]
    assert found[0] == 1.0 and all(a > b for a, b in pairwise(found))
    assert found[1] > 0.9 and found[-1] < 0.1


def test_names_count() -> None:
    assert similarity("a = b + c\n", "x = y + z\n") < 0.2


def test_the_nearest_of_a_crowd_is_what_plain_sets_say() -> None:
    operator, rng = SyntaxTree(Toy()), random.Random(1)
    texts = [PROGRAM]
    while len(texts) < 120:
        order = Order((python(rng.choice(texts)), python(rng.choice(texts))), rng.getrandbits(40))
        (made,) = operator.propose([order])
        if made.program is not None:
            texts.append(made.program.source)
    crowd = tuple(map(sketch, texts))
    shingles = Shingles()
    for size in (1, 7, 8, 60, 120, 30):  # crowds come and go
        for text in (texts[3], texts[-1], "x = 1\n", "", PROGRAM + "\nz = 5\n"):
            one = sketch(text)
            nearest = shingles.nearest(one, crowd[:size])
            assert nearest == pytest.approx(max(jaccard(one, other) for other in crowd[:size]))
    assert shingles.nearest(crowd[0], ()) == 0.0
    assert shingles.nearest(crowd[0], (frozenset(),) * 20) == 0.0
    doubled = (frozenset(), *crowd[1:], *crowd[1:])
    assert shingles.nearest(sketch(PROGRAM), doubled) > 0


def test_a_sketch_is_the_same_in_every_process() -> None:
    script = (
        "import sys; from elm.candidate import Program\n"
        "from elm.variation.novelty import Shingles\n"
        "text = sys.stdin.read()\n"
        "print(sorted(Shingles().sketch(Program({'a.py': text, 'b.py': 'x = 1'}))))\n"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", script],
            input=PROGRAM,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for seed in ("1", "2")
    }
    (line,) = printed
    assert line.strip() == str(sorted(sketch(PROGRAM) | sketch("x = 1")))


@pytest.mark.parametrize("kind", WEIRD)
def test_no_program_is_too_weird(kind: str) -> None:
    program = WEIRD[kind].candidate.program
    if program is not None:
        found = Shingles().sketch(program)
        assert Shingles().nearest(found, [found]) == 1.0
        assert all(0 <= shingle < 2**32 for shingle in found)


@pytest.mark.parametrize(
    "text", ['"""' * 9_000 + "\\", "'" * 40_000 + "\\", "\\" * 60_000, "(" * 60_000]
)
def test_nothing_takes_long(text: str) -> None:
    assert sketch(text) is not None  # the time limit of the suite is the check


def test_files_of_a_program_count_together() -> None:
    both = Shingles().sketch(Program({"a.py": "x = 1\n", "b.py": PROGRAM}))
    assert both == sketch("x = 1\n") | sketch(PROGRAM)
