"""Answers of any type, as source text: plain ones to start from, and random ones."""

from __future__ import annotations

import random

from environments.puzzles.answers import Kind

_PLAIN = {"int": "0", "float": "0.0", "str": '""', "bool": "False", "list": "[]", "dict": "{}"}
_VARIED = {
    "int": "{i} * 7 + 1",
    "float": "{i} / 4 + 0.5",
    "str": "chr(97 + {i} % 26)",
    "bool": "{i} % 3 == 0",
}
_LETTERS = "abcdefghijklmnopqrstuvwxyz 0123456789#"


def bodies(kind: Kind) -> dict[str, str]:
    """Statements that return an answer of the type, by a name; each is a program to start from."""
    name = kind[0]
    if name == "list":
        step = f"    answer = answer + [{_varied(kind[1], 'i')}]\n"
    elif name == "dict":
        step = f"    answer[chr(97 + i)] = {_varied(kind[1], 'i')}\n"
    else:
        step = f"    answer = {_step(name)}\n"
    loop = f"answer = {_PLAIN[name]}\nfor i in range(8):\n{step}return answer\n"
    return {"plain": f"return {_PLAIN[name]}\n", "loop": loop}


def _step(name: str) -> str:
    if name == "bool":
        return "not answer"
    return "answer + " + _VARIED[name].format(i="i")


def _varied(kind: Kind, counter: str) -> str:
    """An expression of the type that differs with a counter."""
    if kind[0] == "list":
        inner = chr(ord(counter) + 1)
        return f"[{_varied(kind[1], inner)} for {inner} in range(3)]"
    if kind[0] == "dict":
        return f'{{"a": {_varied(kind[1], counter)}}}'
    return _VARIED[kind[0]].format(i=counter)


def random_answer(kind: Kind, rng: random.Random) -> object:
    """An answer of the type, of moderate size."""
    name = kind[0]
    if name == "list":
        return [random_answer(kind[1], rng) for _ in range(rng.randint(1, 12))]
    if name == "dict":
        letters = rng.sample(_LETTERS[:26], rng.randint(1, 8))
        return {letter: random_answer(kind[1], rng) for letter in letters}
    if name == "int":
        return rng.randrange(10 ** rng.randint(1, 4))
    if name == "float":
        return round(rng.uniform(-10.0, 10.0), 3)
    if name == "bool":
        return rng.random() < 0.5
    return "".join(rng.choice(_LETTERS) for _ in range(rng.randint(1, 32)))
