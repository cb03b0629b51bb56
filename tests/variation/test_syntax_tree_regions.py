"""Syntax-tree mutations change nothing outside of evolve blocks."""

from __future__ import annotations

import pytest
from operator_kit import Toy, python

from elm.candidate import Status
from elm.variation import Order
from elm.variation.syntax_tree import MUTATIONS, SyntaxTree

HEAD = """\
LIMIT = 10


def helper(x):
    y = x + 1
    z = y * 4
    return z * LIMIT


"""
BLOCK = """\
# EVOLVE-BLOCK-START
def f(x):
    wc = creator()
    wall = wc.add(0, 10)
    roof = wc.add(5, -7.5)
    wc.join(wall, roof, 2.0)
    wc.join(roof, wall, 1.0)
    names = ["red", "green", "blue", "grey"]
    total = 0
    for i in range(4):
        total += i * 2 + helper(total)
        if total > 3 and i != 2:
            wc.paint(names[i], True)
    return wc.done(total)
# EVOLVE-BLOCK-END
"""
TAIL = """

def main():
    total = 0
    for i in range(7):
        total += f(i)
    return total
"""
MARKED = HEAD + BLOCK + TAIL
OTHER = (
    MARKED.replace("10)", "3)")
    .replace("red", "violet")
    .replace("    total = 0\n", "    total = 0\n    wc.roll(wall)\n", 1)
)


@pytest.mark.parametrize("kind", MUTATIONS)
def test_every_kind_of_mutation_keeps_to_the_block(kind: str) -> None:
    weights = {name: float(name == kind) for name in MUTATIONS}
    operator = SyntaxTree(Toy(), more=0.5, novelty=0.0, weights=weights)
    parents = (python(MARKED, 0), python(OTHER, 1))
    made = [p.program for p in operator.propose([Order(parents, seed) for seed in range(60)])]
    texts = [program.source for program in made if program is not None]
    assert len(texts) > 20, f"{kind} found nothing to do"
    for text in texts:
        assert text.startswith(HEAD + "# EVOLVE-BLOCK-START\n")
        assert text.endswith("# EVOLVE-BLOCK-END\n" + TAIL)
        assert text != MARKED


def test_a_small_block_in_a_large_file_is_found() -> None:
    many = "".join(
        f"def g{n}(x):\n    y = x + {n}\n    return y * {n + 1}\n\n\n" for n in range(60)
    )
    text = many + "# EVOLVE-BLOCK-START\nWEIGHT = 3\n# EVOLVE-BLOCK-END\n" + many
    operator = SyntaxTree(Toy(), novelty=0.0, crossover=False)
    made = operator.propose([Order((python(text, 0),), seed) for seed in range(20)])
    changed = [p.program.source for p in made if p.program is not None]
    assert len(changed) > 3
    assert all(source.count(many) == 2 for source in changed)


def test_markers_that_are_no_pair_are_the_parents_fault() -> None:
    operator = SyntaxTree(Toy(), novelty=0.0, crossover=False)
    (made,) = operator.propose([Order((python("# EVOLVE-BLOCK-START\nx = 1\n", 0),), 1)])
    assert made.status is Status.SYNTAX_ERROR and made.program is None
    assert "line 1: EVOLVE-BLOCK-START without an end" in made.detail
