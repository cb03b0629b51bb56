from __future__ import annotations

import ast
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from operator_kit import PROGRAM, WEIRD, Toy, python

from elm.candidate import Elite, Status, canonical_hash
from elm.variation import Order, build
from elm.variation.syntax_tree import MUTATIONS, SyntaxTree
from elm.variation.syntax_tree.literals import number
from elm.variation.syntax_tree.names import undefined
from elm.variation.syntax_tree.source import Source, same_tree
from environments.sodarace.environment import Sodarace
from environments.sodarace.producer import produce

# Parents on which each kind of mutation has something to do.
BUILDER = """\
def make():
    # A house.
    wc = creator()
    wall = wc.add(0, 10)
    roof = wc.add(5, -7.5)
    wc.join(wall, roof, 2.0)
    wc.join(roof, wall, 1.0)
    names = ["red", "green", "blue", "grey"]
    total = 0
    for i in range(4):
        total += i * 2 + wc.size(wall)
        if total > 3 and i != 2:
            wc.paint(names[i], True)
    return wc.done(total)
"""
OTHER = (
    BUILDER.replace("10", "3")
    .replace('"red"', '"violet"')
    .replace("    total = 0\n", "    total = 0\n    wc.roll(wall)\n")
)


def only(kind: str, **settings: object) -> SyntaxTree:
    weights = {name: float(name == kind) for name in MUTATIONS}
    return SyntaxTree(Toy(), more=0.0, novelty=0.0, weights=weights, **settings)  # type: ignore[arg-type]


def children(operator: SyntaxTree, *parents: str, count: int = 60) -> list[str]:
    elites = tuple(python(text, i) for i, text in enumerate(parents))
    proposals = operator.propose([Order(elites, seed) for seed in range(count)])
    return [p.program.source for p in proposals if p.program is not None]


@pytest.mark.parametrize("kind", MUTATIONS)
def test_each_kind_changes_what_it_says_and_nothing_else(kind: str) -> None:
    made = children(only(kind), BUILDER, OTHER)
    assert len(made) >= 40, f"{kind} found nothing to do"
    assert len(set(made)) >= 3
    known = undefined(ast.parse(BUILDER)) | undefined(ast.parse(OTHER))
    for text in made:
        tree = ast.parse(text)
        assert not same_tree(tree, ast.parse(BUILDER))
        assert undefined(tree) <= known
        assert "# A house." in text  # edits leave comments and the rest of the layout alone
        assert text.startswith("def make():\n") and "return" in text.splitlines()[-1]


def test_numbers_stay_of_their_kind_where_it_matters() -> None:
    text = "def f(a):\n    for i in range(7):\n        a[3] = a[i - 2]\n    return a\n"
    for child in children(only("number"), text, count=200):
        for node in ast.walk(ast.parse(child)):
            if isinstance(node, ast.Constant):
                assert isinstance(node.value, int), child


def test_equal_numbers_sometimes_change_together() -> None:
    text = "def f():\n    return [g(8, 1), g(8, 2), g(3, 8)]\n"
    changed = [child.count("8") for child in children(only("number"), text, count=200)]
    assert 0 in changed and 2 in changed


def test_scaling_keeps_proportions() -> None:
    text = "def f(g):\n    g(10.0, 7)\n    g(20.0, 7)\n    g(-40.0, 7)\n"
    seen = 0
    for child in children(only("scale"), text):
        values = [
            ast.literal_eval(node.args[0])
            for node in ast.walk(ast.parse(child))
            if isinstance(node, ast.Call)
        ]
        if values != [10.0, 20.0, -40.0]:
            seen += 1
            assert values[1] / values[0] == pytest.approx(2.0, rel=1e-2)
            assert values[2] / values[0] == pytest.approx(-4.0, rel=1e-2)
    assert seen > 10


def test_growing_adds_a_variable_and_uses_it() -> None:
    text = (
        "def f():\n    wc = new()\n    j1 = wc.joint(1, 2)\n    j2 = wc.joint(3, 4)\n"
        "    wc.muscle(j1, j2, 0.5)\n    return wc\n"
    )
    for child in children(only("grow"), text):
        assert "j3 = wc.joint(" in child
        assert "wc.muscle(j3, j2" in child or "wc.muscle(j1, j3" in child


def test_removing_a_variable_removes_what_needs_it() -> None:
    text = (
        "def f():\n    wc = new()\n    a = wc.joint(1)\n    b = wc.joint(2)\n    c = wc.joint(3)\n"
        "    d = wc.joint(4)\n    wc.muscle(a, b)\n    wc.muscle(c, d)\n    return wc\n"
    )
    made = children(only("remove"), text, count=100)
    without_a = [child for child in made if "a = wc.joint(1)" not in child]
    assert without_a
    for child in without_a:
        assert "wc.muscle(a, b)" not in child
        assert "wc.muscle(c, d)" in child
    assert all("wc = new()" in child and "return wc" in child for child in made)


def test_borrowing_takes_from_the_second_parent() -> None:
    made = children(only("borrow"), BUILDER, OTHER)
    assert any("wc.roll(wall)" in child for child in made)
    assert any("wc.add(0, 3)" in child and "wc.roll" not in child for child in made)
    assert children(only("borrow"), BUILDER) == []


def test_without_crossover_one_parent_is_asked_for() -> None:
    assert SyntaxTree(Toy(), crossover=False).parents == 1
    assert SyntaxTree(Toy()).parents == 2


def test_novelty_borrows_from_random_programs() -> None:
    class Painter(Toy):
        def random_program(self, rng: random.Random) -> object:  # type: ignore[override]
            from environments.base import Program

            line = f"paint({rng.randrange(100)})"
            return Program({"toy.py": f"def f():\n    {line}\n    return 1\n"})

    weights = {name: float(name == "borrow") for name in MUTATIONS}
    text = "def f():\n    x = paint(y)\n    return x\n"
    made = children(SyntaxTree(Painter(), more=0.0, novelty=1.0, weights=weights), text)
    assert len({child for child in made if "paint(" in child.replace("paint(y)", "")}) > 10


def test_children_do_not_outgrow_the_limit() -> None:
    operator = SyntaxTree(Toy(), more=0.9, max_bytes=500)
    text = PROGRAM
    for seed in range(60):
        (proposal,) = operator.propose([Order((python(text),), seed)])
        if proposal.program is not None:
            text = proposal.program.source
            assert len(text.encode()) <= 500
    large = "x = 1\n" * 200
    for child in children(operator, large, count=10):
        assert len(child) <= len(large)


def test_a_parent_with_nothing_to_change_is_no_change() -> None:
    (proposal,) = SyntaxTree(Toy()).propose([Order((python("def f():\n    return g()\n"),), 1)])
    assert (proposal.program, proposal.status) == (None, Status.NO_CHANGE)


def test_docstrings_and_comments_are_not_what_changes() -> None:
    text = '"""Module 1."""\ndef f():\n    """Adds 2 and "three"."""\n    return 4  # 5 "six"\n'
    for child in children(SyntaxTree(Toy(), novelty=0.0), text, count=100):
        assert '"""Module 1."""' in child
        assert '"""Adds 2 and "three"."""' in child
        assert '# 5 "six"' in child


def test_whole_populations_stay_sound() -> None:
    """Generations upon generations: always parses, always another program."""
    operator = SyntaxTree(Toy())
    rng = random.Random(0)
    barren = 0
    population = [python(BUILDER), python(OTHER), python(PROGRAM)]
    for seed in range(400):
        chosen = tuple(rng.choice(population) for _ in range(2))
        (proposal,) = operator.propose([Order(chosen, seed)])
        if proposal.program is None:
            barren += 1
            continue
        assert chosen[0].candidate.program is not None
        assert canonical_hash(proposal.program) != canonical_hash(chosen[0].candidate.program)
        population.append(python(proposal.program.source, seed))
    assert barren <= 8


def test_results_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1])\n"
        "from operator_kit import PROGRAM, Toy, python\n"
        "from elm.variation import Order, build\n"
        "operator = build({'name': 'syntax_tree', 'more': 0.8}, Toy(), None)\n"
        "orders = [Order((python(PROGRAM), python(PROGRAM)), s) for s in range(80)]\n"
        "print(json.dumps([p.program and p.program.source for p in operator.propose(orders)]))\n"
    )
    root = Path(__file__).parents[2]
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code, str(Path(__file__).parent)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert len(json.loads(outputs[0])) == 80


def walkers() -> list[Elite]:
    programs = [seed.program for seed in Sodarace().seeds()]
    return [
        Elite(elite.candidate.__class__(id=i, block=0, program=program), elite.evaluation)
        for i, program in enumerate(programs)
        for elite in [python("")]
    ]


def test_most_children_of_walkers_are_walkers() -> None:
    parents = walkers()
    operator = build({"name": "syntax_tree"}, Sodarace(), None)
    rng = random.Random(0)
    sound = 0
    for seed in range(200):
        (proposal,) = operator.propose([Order(tuple(rng.sample(parents, 2)), seed)])
        assert proposal.program is not None
        try:
            sound += bool(produce(proposal.program.files, {}))
        except Exception:
            continue
    assert sound >= 110


@pytest.mark.slow
def test_a_child_takes_a_few_milliseconds() -> None:
    parents = walkers()
    operator = build({"name": "syntax_tree"}, Sodarace(), None)
    orders = [Order((parents[s % 4], parents[(s + 1) % 4]), s) for s in range(300)]
    start = time.process_time()
    operator.propose(orders)
    assert (time.process_time() - start) / len(orders) < 0.01  # about 1.5 ms on a quiet core


def test_numbers_move_and_stay_readable() -> None:
    rng = random.Random(0)
    for value in (0, 1, -3, 120, 0.0, 0.25, -2.5, 1e-7, 1e300, float("inf"), 10**400):
        for _ in range(200):
            text = number(rng, value)
            assert len(text) <= 11
            assert abs(ast.literal_eval(text)) <= 1e9
    whole = [number(rng, 10, integer=True) for _ in range(300)]
    assert all(text.lstrip("-").isdigit() and text != "10" for text in whole)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("x = y\n", {"y"}),
        ("y = 1\nx = y\n", set()),
        ("x = y\ny = 1\n", {"y"}),
        ("def f(a, *b, c=1, **d):\n    return a, b, c, d, e\n", {"e"}),
        ("def f():\n    return g()\ndef g():\n    return 1\n", set()),
        ("for i in range(3):\n    print(i)\n", set()),
        ("x = [i for i in range(3) if i]\n", set()),
        ("x = {k: v for k, v in z}\n", {"z"}),
        ("x += 1\n", {"x"}),
        ("import a.b as c, d.e\nc, d\n", set()),
        ("with f() as g:\n    g\n", {"f"}),
        ("try:\n    1\nexcept OSError as e:\n    e\n", set()),
        ("f = lambda q: q + r\n", {"r"}),
        ("class A:\n    x = 1\n    y = x\nA\n", set()),
        ("match a:\n    case [b, *c]:\n        b, c\n", {"a"}),
        ("def f():\n    if a:\n        b = 1\n    return b\n", {"a"}),
    ],
)
def test_undefined_names(text: str, missing: set[str]) -> None:
    assert undefined(ast.parse(text)) == missing


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("x = 1", "x  =  1  # one", True),
        ("def f():\n    'doc'\n    return 1", "def f():\n    return 1", True),
        ("x = 1", "x = 1.0", False),
        ("x = 0.0", "x = -0.0", False),
        ("x = 1", "x = True", False),
        ("f(a, b)", "f(b, a)", False),
        ("'a'\nx = 1", "'b'\nx = 1", True),
        ("x = 1\ny = 2", "x = 1", False),
    ],
)
def test_same_tree(left: str, right: str, same: bool) -> None:
    assert same_tree(ast.parse(left), ast.parse(right)) is same


@pytest.mark.parametrize("kind", WEIRD)
def test_sources_find_every_expression_where_it_stands(kind: str) -> None:
    program = WEIRD[kind].candidate.program
    if program is None or "toy.py" not in program.files or kind == "huge hex":
        return
    try:
        source = Source(program.files["toy.py"])
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for spot in source.spots:
        if isinstance(spot.node, ast.Name | ast.Constant) and not isinstance(
            spot.parent, ast.Slice
        ):
            text = source.segment(spot.node).decode()
            assert same_tree(ast.parse(f"({text})", mode="eval").body, spot.node)


def test_a_name_that_nothing_binds_may_become_any_variable() -> None:
    text = "def f(a, b):\n    both = [c, b, print]\n    return both\n"
    made = set(children(only("name"), text))
    assert any("[a, b, print]" in child for child in made)
    assert all("print]" in child for child in made), "a builtin is bound"
