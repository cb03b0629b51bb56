"""Random programs and edits, the layouts that say what was edited, and an oracle of damage."""

from __future__ import annotations

import difflib
import random
from collections.abc import Callable, Sequence

WORDS = ("alpha", "beta", "rim", "wc", "joint", "speed", "angle")


def program(rng: random.Random, lines: int) -> list[str]:
    """Lines of a Python program that parses, with repeated and blank ones among them."""
    made = ["import math", "", "def make(n):"]
    depth = 1
    while len(made) < lines:
        pad = "    " * depth
        kind = rng.random()
        if kind < 0.12 and depth < 4:
            made.append(f"{pad}for i in range({rng.randint(1, 9)}):")
            depth += 1
            pad = "    " * depth
        elif kind < 0.2:
            made.append("")
        elif kind < 0.3:
            made.append(f"{pad}# {rng.choice(WORDS)} {rng.choice(WORDS)}")
        made.append(f"{pad}{rng.choice(WORDS)} = {rng.choice(WORDS)}({rng.randint(0, 99)})")
        depth = rng.randint(1, depth)
    return [*made, "    return n"]


def edited(rng: random.Random, lines: Sequence[str]) -> list[str]:
    """The lines behind one to three changes of whole lines; the program still parses."""
    made = list(lines)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(3, len(made))
        line = made[place]
        pad = line[: len(line) - len(line.lstrip())] or "    "
        new = [f"{pad}{rng.choice(WORDS)} = {rng.random():.3f}" for _ in range(rng.randint(1, 3))]
        simple = " = " in line or not line.strip()
        kind = rng.choice("rid") if simple else "i"
        before_pad = line[: len(line) - len(line.lstrip())] if line.strip() else pad
        if kind == "r":
            made[place : place + 1] = new
        elif kind == "i" and line.strip():
            made[place:place] = [before_pad + text.lstrip() for text in new]
        elif kind == "d" and not line.strip():
            del made[place]
    return made


def unified(before: Sequence[str], after: Sequence[str], context: int = 3) -> str:
    """A unified diff with headers."""
    found = difflib.unified_diff(before, after, "toy.py", "toy.py", lineterm="", n=context)
    return "\n".join(found) + "\n"


def elm(before: Sequence[str], after: Sequence[str], context: int = 3) -> str:
    """What a diff model writes behind `<DFF>`."""
    return " " + unified(before, after, context).split("\n", 2)[2]


def search_replace(before: Sequence[str], after: Sequence[str], context: int = 3) -> str:
    """Blocks whose SEARCH parts stand in the program once."""
    whole = "\n" + "\n".join(before) + "\n"
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    ops = matcher.get_opcodes()
    spans: list[tuple[int, int, int, int]] = []
    for group in matcher.get_grouped_opcodes(context):
        a, b, c, d = group[0][1], group[-1][2], group[0][3], group[-1][4]
        while whole.count("\n" + "\n".join(before[a:b]) + "\n") != 1 or not "".join(before[a:b]):
            up = max((op[2] - op[1] for op in ops if op[0] == "equal" and op[2] == a), default=0)
            if a > 0 and (up or any(o[0] == "equal" and o[1] < a <= o[2] for o in ops)):
                a, c = a - 1, c - 1
            elif b < len(before) and any(o[0] == "equal" and o[1] <= b < o[2] for o in ops):
                b, d = b + 1, d + 1
            else:
                a, b, c, d = 0, len(before), 0, len(after)
                break
        if spans and a < spans[-1][1]:
            a, c = spans[-1][0], spans[-1][2]
            b, d = max(b, spans[-1][1]), max(d, spans[-1][3])
            spans.pop()
        spans.append((a, b, c, d))
    return "\n".join(
        "\n".join(["<<<<<<< SEARCH", *before[a:b], "=======", *after[c:d], ">>>>>>> REPLACE", ""])
        for a, b, c, d in spans
    )


LAYOUTS: dict[str, Callable[..., str]] = {
    "unified": unified,
    "elm": elm,
    "search_replace": search_replace,
}


def damaged(rng: random.Random, diff: str) -> str:
    """A diff as a sloppy model, a full context or a broken channel leaves it."""
    lines = diff.split("\n")
    place = rng.randrange(len(lines))
    kind = rng.randrange(12)
    if kind == 0:
        del lines[place]
    elif kind == 1:
        lines.insert(place, lines[place])
    elif kind == 2:
        lines = lines[:place]
    elif kind == 3:
        other = rng.randrange(len(lines))
        lines[place], lines[other] = lines[other], lines[place]
    elif kind == 4:
        lines[place] = lines[place].replace("a", "e").replace("1", "7")
    elif kind == 5:
        lines = [
            line.replace(",", f"{rng.randint(0, 9)},", 1)
            if line.lstrip().startswith("@@")
            else line
            for line in lines
        ]
    elif kind == 6:
        lines = [line.lstrip() for line in lines]
    elif kind == 7:
        lines = [line[1:] if line.startswith(" ") else line for line in lines]
    elif kind == 8:
        markers = [i for i, line in enumerate(lines) if line[:3] in ("<<<", "===", ">>>", "@@ ")]
        texts = [lines[i] for i in markers]
        rng.shuffle(texts)
        for i, text in zip(markers, texts, strict=True):
            lines[i] = text
    elif kind == 9:
        lines = [line + "  " for line in lines]
    elif kind == 10:
        lines[place] = "".join(rng.choice("\0\ud800\ufeffäé\r\f\v\x1c x") for _ in range(8))
    else:
        rng.shuffle(lines)
    return "\n".join(lines)


def damage(parent: Sequence[str], diff: str, result: Sequence[str]) -> list[str]:
    """What no application of a diff could have done to a program, one line for each thing.

    Says nothing of how a diff is read: a line that is new must stand in the diff, a line that is
    gone must be one that the diff shows, or nearly so.
    """
    text = diff.encode("utf-8", "replace").decode("utf-8").replace("\0", "").replace("\ufeff", "")
    shown = {line.strip() for line in text.replace("\r", "\n").split("\n")}
    shown |= {line[1:].strip() for line in shown if line[:1] in ("+", "-")}
    # The longest way to keep lines: what it does not keep is gone or new beyond doubt.
    matcher = difflib.SequenceMatcher(None, parent, result, autojunk=False)
    wrong = []
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            continue
        for line in result[c:d]:
            if line.strip() not in shown and line not in parent:
                wrong.append(f"new: {line!r}")
        for line in parent[a:b]:
            near = difflib.get_close_matches(line.strip(), shown, 1, 0.6)
            if line.strip() and not near and line not in result:
                wrong.append(f"gone: {line!r}")
    return wrong
