"""How a prompt looks: what is shown of the parents, and where the model goes on."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

import msgspec

from elm.variation.anatomy import Anatomy
from elm.variation.completion import brackets
from environments.base import Prompt

# Behind which a value stands: an argument, what is assigned, an operand.
_BEFORE_VALUE = re.compile(r"[(\[,=+*/<>-](?=\s*[\w.(\[-])")


class Shown(msgspec.Struct, frozen=True):
    """A parent as the model sees it."""

    text: str
    remark: str  # "" or comment lines


class Begun(msgspec.Struct, frozen=True):
    """The part of the child that stands before the model writes a word."""

    text: str  # of the function, without a newline at its end
    rest: str = ""  # of the function, behind what the model writes: "" or from a newline on
    avoid: str = ""  # how the parent goes on there
    replaced: tuple[str, ...] = ()  # statements of the parent that stood in between
    statements: int | None = None  # how many the model is to write; None: to the end
    detail: str = ""
    line: int | None = None  # where it writes the rest of a line alone: brackets that are open


def begin(
    shape: str,
    prompt: Prompt,
    parent: Anatomy | None,
    kept: tuple[float, float],
    rng: random.Random,
) -> Begun:
    """Draws where the child departs from its parent.

    `partial` keeps a drawn share of the parent's statements, `splice` puts one to three new ones
    in the place of none to two of the parent's, `infill` writes the rest of one line anew from
    before a value, and `mixed` draws one of the last two; every other shape keeps the opening.
    """
    # The opening always stays, and what returns is never kept: it would be the whole parent.
    least = 1 + prompt.opening.count("\n")
    cuts = [line for line in parent.starts[1:] if line >= least] if parent else []
    if parent is None or not cuts:
        return Begun(prompt.opening)
    if shape in ("few_shot", "chat"):
        opens_alike = "\n".join(parent.lines[:least]) == prompt.opening
        return Begun(prompt.opening, avoid=_between(parent, least) if opens_alike else "")
    if shape == "partial":
        place = min(round(rng.uniform(*kept) * (len(cuts) - 1)), len(cuts) - 1)
        cut = _behind_text(parent, cuts[place])
        head = "\n".join(parent.lines[:cut])
        return Begun(head, avoid=_between(parent, cut), detail=f"kept {cut} lines")
    if shape == "infill" or (shape == "mixed" and rng.random() < 0.5):
        places = [
            (number, match.end())
            for number in range(least, len(parent.lines) - len(parent.closing))
            for match in _BEFORE_VALUE.finditer(parent.lines[number])
            if not parent.lines[number].lstrip().startswith(("def ", "#"))
        ]
        if places:
            # First the line, then the place in it: a call with many arguments is still one line.
            number = rng.choice(sorted({number for number, _ in places}))
            return _infill(parent, number, rng.choice([at for n, at in places if n == number]))
    first = rng.randrange(len(cuts))
    after = min(first + rng.randint(0, 2), len(cuts) - 1)
    cut = _behind_text(parent, cuts[first])
    return Begun(
        "\n".join(parent.lines[:cut]),
        _between(parent, cuts[after]),
        _between(parent, cut),
        tuple("\n".join(parent.lines[cuts[i] : cuts[i + 1]]) for i in range(first, after)),
        rng.randint(1, 3),
        f"replaced {after - first} statements behind line {cut}",
    )


def _infill(parent: Anatomy, number: int, column: int) -> Begun:
    line = parent.lines[number]
    rest = _between(parent, number + 1)
    return Begun(
        "\n".join((*parent.lines[:number], line[:column])),
        rest,
        line[column:] + rest,
        line=brackets(line[:column]),
        detail=f"wrote the rest of line {number + 1}",
    )


def _between(parent: Anatomy, start: int) -> str:
    """The parent's function from a line on, each line with its newline in front."""
    return "".join("\n" + line for line in parent.lines[start:])


def _behind_text(parent: Anatomy, cut: int) -> int:
    """The cut without blank lines before it: the model itself says how a line goes on."""
    while not parent.lines[cut - 1].strip():
        cut -= 1
    return cut


def render(
    prompt: Prompt, parents: Sequence[Shown], header: str, begun: Begun, complaint: str = ""
) -> tuple[str, str]:
    """The text to go on with, as what every prompt of the run begins with, and what follows.

    Args:
        parents: the one to be varied first; it is shown last, next to where the model goes on.
        header: what stands before the child's function in its file.
        complaint: comment lines before the child.
    """
    return _preamble(prompt), "".join(_examples(parents)) + complaint + header + begun.text


def converse(prompt: Prompt, parents: Sequence[Shown]) -> str:
    """The same as an instruction to a model that answers conversations."""
    examples = "".join(_examples(parents)).rstrip("\n")
    return (
        f"{prompt.instruction}\n\n```python\n{_preamble(prompt)}{examples}\n```\n"
        f"Write another, different `{prompt.entry}`. Answer with code only."
    )


def _preamble(prompt: Prompt) -> str:
    return prompt.preamble.strip("\n") + "\n\n\n" if prompt.preamble else ""


def _examples(parents: Sequence[Shown]) -> list[str]:
    return [parent.remark + parent.text.strip() + "\n\n\n" for parent in reversed(parents)]
