"""A small environment, parents of all kinds and a scripted model, for operators' tests."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from elm.candidate import Candidate, Elite, Evaluation, Program, Status, canonical_hash
from elm.models import Completion, LanguageModel, Request
from environments.base import Axis, Environment, Objective, Prompt, Seed

PROGRAM = '''\
def draw(width, height):
    """Paints a picture."""
    rows = []
    scale = 2.5  # of the waves
    for y in range(height):
        row = []
        for x in range(width):
            row.append((x * scale + 1, y % 3, "blue"))
        rows.append(row)
    if scale < 4:
        rows.append([])
    return rows
'''


class Toy(Environment):
    """Has programs in Python and vectors at once; nothing ever executes it."""

    name = "toy"
    axes = (Axis("x", 0.0, 1.0, 4),)
    objective = Objective("score", f_min=0.0)
    producer_modules: ClassVar[tuple[str, ...]] = ()
    judge_modules: ClassVar[tuple[str, ...]] = ()
    bounds = (-2.0, 3.0)
    prompt = Prompt(
        instruction="draw(width, height) returns the rows of a picture.",
        file="toy.py",
        entry="draw",
        opening="def draw(width, height):",
        preamble="# There is nothing to import.\n",
    )

    def seeds(self) -> Sequence[Seed]:
        return [Seed("picture", Program({"toy.py": PROGRAM}))]

    def random_program(self, rng: random.Random) -> Program:
        return Program({"toy.py": f"def draw(width, height):\n    return [{rng.random()}]\n"})


class Scripted(LanguageModel):
    """Says what a function of the request and of its number says, and remembers what it was asked.

    What it is told to say may be a text, a `Completion`, or an exception to be raised.
    """

    def __init__(
        self, answer: Callable[[Request, int], Any], *, continues: bool = True, name: str = "script"
    ) -> None:
        self.name, self.continues = name, continues
        self.active_parameters = {name: 7}
        self.answer = answer
        self.requests: list[Request] = []
        self.batches: list[int] = []

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        first = len(self.requests)
        self.requests += requests
        self.batches.append(len(requests))
        done = []
        for number, request in enumerate(requests, first):
            said = self.answer(request, number)
            if isinstance(said, Exception):
                raise said
            if isinstance(said, str):
                end = request.stop(said) if request.stop else None
                said = Completion(text=said[:end], prompt_tokens=5, completion_tokens=3)
            done.append(said)
        return done

    def close(self) -> None:
        pass


def parent(files: dict[str, str] | None, number: int = 1, **known: Any) -> Elite:
    """An elite of a program that was never executed.

    Args:
        known: fields of its evaluation.
    """
    program = None if files is None else Program(files)
    try:
        digest = canonical_hash(program) if program else ""
    except SyntaxError:
        digest = ""
    known = {"status": Status.OK, "fitness": 0.0, "descriptor": (0.5,), **known}
    return Elite(
        Candidate(id=number, block=0, program=program, hash=digest),
        Evaluation(candidate=number, **known),
    )


def python(text: str, number: int = 1, **known: Any) -> Elite:
    return parent({"toy.py": text}, number, **known)


def vector(values: Any, number: int = 1) -> Elite:
    return parent({"vector.json": json.dumps(values)}, number)


# What no sane environment would let live, but which an operator must survive.
WEIRD: dict[str, Elite] = {
    "no program": parent(None),
    "no file": parent({}),
    "empty": python(""),
    "comment": python("# nothing here\n"),
    "docstring": python('"""Only words."""\n'),
    "one line": python("def f(): return 1"),
    "semicolons": python("a = 1; b = 2; c = a + b"),
    "syntax error": python("def f(:\n"),
    "null byte": python("x = 1\0"),
    "lone surrogate": python("x = '\ud800'\n"),
    "tabs": python("def f():\n\tx = 1\n\tif x:\n\t\tx = 2\n\treturn x\n"),
    "carriage returns": python("def f():\r\n    x = 1\r\n    y = 2\r    return x + y\r\n"),
    "form feed": python("x = 1\n\f\ny = 2\n"),
    "other scripts": python("größe = 'päng ✓ 日本' * 3\nπ = 3.14\nx = größe + '!'; y = π\n"),
    "continuation": python("x = 1 + \\\n    2\ny = (3 +\n     4)\n"),
    "deep": python("x = " + "(" * 80 + "1" + ")" * 80),
    "too deep": python("x = " + "(" * 5000 + "1" + ")" * 5000),
    "long sum": python("x = " + " + ".join(["1"] * 3000)),
    "long chain": python("x" + ".a" * 3000),
    "huge numbers": python("x = 10 ** 400\ny = 1e400\nz = " + "9" * 400 + "\nw = -0.0\nv = 3j\n"),
    "huge calls": python("f(" + "9" * 400 + ")\nf(-" + "7" * 400 + ")\n"),
    "huge hex": python("x = 0x" + "f" * 6000 + "\n"),
    "f-strings": python('a = 1\nb = f"{a:>{a + 2}} {a!r} x"\nc = "p" f"{b}" "q"\n'),
    "decorators": python("@f(1)\n@g\ndef h(a, b=2, *c, d=4, **e):\n    a = b\n    return a\n"),
    "match": python(
        "match x:\n    case [1, 2]:\n        y = 1\n    case {'k': -1}:\n        y = 2\n"
    ),
    "comprehensions": python(
        "a = [x + 1 for x in range(3) if x]\nb = {k: v for k, v in a}\nc = sum(x for x in a)\n"
        "d = lambda q, *r: q + 1\n"
    ),
    "async": python("async def f():\n    async with a as b:\n        await b(1)\n    return [1]\n"),
    "class": python("class A:\n    '''Doc.'''\n    x = 1\n    def f(self):\n        self.x += 1\n"),
    "loops": python(
        "while True:\n    x = 1\n    if x:\n        break\n    else:\n        continue\n"
    ),
    "try": python("try:\n    x = 1\nexcept E as e:\n    raise\nfinally:\n    y = 2\ndel x, y\n"),
    "globals": python("def f():\n    global g\n    g = 1\n    def h():\n        nonlocal g\n"),
    "strings": python("x = b'abc'\ny = '''a\n  b'''\nz = ['it\\'s', r'\\d', '']\nz[0] = y[1:2]\n"),
    "starred": python("f(*a, 1, **b)\nx, *y = [1, *z]\nprint(-x ** -2, not x, x if y else -1)\n"),
    "not python": parent({"notes.txt": "hello"}),
    "no vector": vector({"a": 1}),
    "empty vector": vector([]),
    "text vector": vector(["a"]),
    "nested vector": vector([[1.0]]),
    "true vector": vector([True]),
    "broken vector": parent({"vector.json": "[1, 2"}),
    "endless vector": parent({"vector.json": "[" * 100_000}),
    "infinite vector": parent({"vector.json": "[1e999, NaN]"}),
    "huge vector": vector([10**400]),
    "far vector": vector([1e308, -1e308]),
}
