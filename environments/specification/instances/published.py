"""Reads instances of bin packing in the forms in which they are published, and knows some by name.

Three forms: the text files of the OR-Library (Beasley, 1990: binpack1.txt and the like), the
notebook `bin_packing.ipynb` that came with FunSearch (Romera-Paredes et al., 2024), and the inputs
that this module writes itself, a literal `(capacity, (item, ...))` a line.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec


class Instance(msgspec.Struct, frozen=True):
    """Items in the order in which they arrive, and what a bin holds."""

    capacity: int
    items: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.items or not all(0 < item <= self.capacity for item in self.items):
            raise ValueError(f"items must be from 1 to the capacity, {self.capacity}")


CHECKSUMS = {
    "or1": "243c8a296ff1144a9a5f6a3458cc8685225dd62fb9476cd98331799627409719",
    "or2": "9ba1e8db7868dac224175d2f8aeef83182a3397624f7a77e1244fa34c45f7a33",
    "or3": "2f1447429390b163ac55e1e434996af4b9ec138ede13ce7d9e69b9f7393427f4",
    "or4": "04f8b67e9a208deb4a6f581a20c4b26d96d3c05d1d0a2ff32fb36ae61aef114c",
    "weibull_5k": "2d068e781c7cad52f7c61e8352ce30c5fc23bf6ba64d71f0d63941cedb075a8a",
}
"""By the name of a published set: the SHA-256 of the inputs that it is written as."""

_HEADINGS = {"or3": "OR3", "weibull_5k": "Weibull 5k"}  # in the notebook


def read(path: Path, name: str) -> list[Instance]:
    """A published set of instances from a file in any of the three forms.

    Raises:
        ValueError: if there is no such set, the file does not hold it, or holds something else.
    """
    if name not in CHECKSUMS:
        raise ValueError(f"there is no set {name!r}; known are {', '.join(CHECKSUMS)}")
    text = path.read_text(encoding="utf-8")
    try:
        if text.lstrip().startswith("{"):
            found = _from_notebook(text, name)
        elif text.lstrip().startswith("("):
            found = _from_inputs(text)
        else:
            found = _from_library(text)
    except (ValueError, TypeError, KeyError, SyntaxError) as error:
        raise ValueError(f"{path}: no instances of bin packing ({error})") from None
    digest = hashlib.sha256(as_inputs(found).encode()).hexdigest()
    if digest != CHECKSUMS[name]:
        raise ValueError(
            f"{path}: these are not the published instances {name}: "
            f"SHA-256 {digest}, expected {CHECKSUMS[name]}"
        )
    return found


def as_inputs(instances: Sequence[Instance]) -> str:
    """A line for each instance, as `environment.inputs` reads them."""
    return "".join(f"({one.capacity}, {one.items!r})\n" for one in instances)


def _from_library(text: str) -> list[Instance]:
    """The number of instances; then for each a name, "capacity items bins", and the items."""
    words = iter(text.split())

    def number() -> int:
        word = next(words, None)
        if word is None:
            raise ValueError("it ends too early")
        return int(word)

    found = []
    for _ in range(number()):
        next(words, None)  # its name
        capacity, count, _best = number(), number(), number()
        found.append(Instance(capacity, tuple(number() for _ in range(count))))
    if next(words, None) is not None:
        raise ValueError("it goes on behind its last instance")
    return found


def _from_notebook(text: str, name: str) -> list[Instance]:
    """The literal that a cell assigns to `datasets[...]`."""
    cells = ["".join(cell["source"]) for cell in json.loads(text)["cells"]]
    heading = _HEADINGS.get(name)
    for cell in cells:
        if heading is None or f"datasets[{heading!r}] = " not in cell:
            continue
        for statement in ast.parse(cell).body:
            if not isinstance(statement, ast.Assign):
                continue
            if ast.unparse(statement.targets[0]) == f"datasets[{heading!r}]":
                values = ast.literal_eval(statement.value).values()
                return [Instance(one["capacity"], tuple(one["items"])) for one in values]
    raise ValueError(f"the notebook has no set {name}")


def _from_inputs(text: str) -> list[Instance]:
    lines = (line for line in text.splitlines() if line.strip())
    return [Instance(*ast.literal_eval(line)) for line in lines]
