"""Reads puzzles, from the collection or from a file, without executing any of them."""

from __future__ import annotations

import ast
from pathlib import Path

import msgspec

from environments.base import read_modules
from environments.construct import suggestion
from environments.puzzles.answers import parse_kind
from environments.puzzles.language import checker

COLLECTION = "environments.puzzles.collection"
CREDIT = "_credit"
MAX_FILE_BYTES = 64_000_000


class Puzzle(msgspec.Struct, frozen=True, kw_only=True):
    """A checker as texts, and what is known of it without executing it."""

    name: str
    sat: str
    kind: str  # the type of the answer, as its annotation
    credit: str = ""  # how near an answer is that does not satisfy `sat`
    statement: str = ""  # what is wanted, in words
    header: str = "def sol():"  # with the checker's further arguments, and their values


class _Record(msgspec.Struct, frozen=True):
    """What we use of an entry of a file of puzzles."""

    name: str
    sat: str
    sol_docstring: str = ""
    credit: str = ""  # of ours: how near an answer is that does not satisfy `sat`, from 0 to 1


def collection() -> dict[str, Puzzle]:
    """The puzzles that come with this project, by name, from easy to hard."""
    (text,) = read_modules([COLLECTION]).values()
    lines = text.splitlines()
    functions = {
        node.name: (node, "\n".join(lines[node.lineno - 1 : node.end_lineno]))
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef)
    }
    puzzles = {}
    for name, (node, source) in functions.items():
        if name.endswith(CREDIT):
            continue
        annotation = node.args.args[0].annotation
        assert annotation is not None
        credit = functions[name + CREDIT][1] if name + CREDIT in functions else ""
        puzzles[name] = Puzzle(
            name=name,
            sat=source.replace(f"def {name}(", "def sat(", 1) + "\n",
            kind=ast.unparse(annotation),
            credit=credit.replace(f"def {name}{CREDIT}(", "def credit(", 1),
            statement=" ".join((ast.get_docstring(node) or "").split()),
        )
    return puzzles


def choose(name: str, file: str | None) -> Puzzle:
    """The puzzle of that name.

    A file is a JSON list of objects like those of the data set of Schuster et al. ("Programming
    Puzzles", 2021): `name`, `sat` (the text of one function) and perhaps `sol_docstring`; one's
    own may hold `credit`, the text of a function that gives an answer its share of 1. What else
    there is, solutions included, is not looked at.

    Raises:
        ValueError: in one line: no such file, not a list of puzzles, no puzzle of this name, or
            one whose checker would need what a checker may not have.
    """
    if file is None:
        known = collection()
        if name not in known:
            raise ValueError(
                f"environment.puzzle must be one of {', '.join(known)}, got {name!r}"
                f"{suggestion(name, known)}"
            )
        return known[name]
    records = {record.name: record for record in _read(file)}
    if name not in records:
        first = next(iter(records))
        raise ValueError(
            f"environment.puzzle must be one of the {len(records)} puzzles of {file}, such as "
            f"{first!r}, got {name!r}{suggestion(name, records)}"
        )
    try:
        return _puzzle(records[name])
    except ValueError as error:
        raise ValueError(f"environment.puzzle: {name!r} of {file} {error}") from None


def _read(file: str) -> list[_Record]:
    path = Path(file)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"environment.file: {file} is over {MAX_FILE_BYTES} bytes")
        records = msgspec.json.decode(path.read_bytes(), type=list[_Record])
    except OSError as error:
        raise ValueError(f"environment.file: cannot read {file}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"environment.file: {file} is no JSON list of puzzles with name and sat: {reason}"
        ) from None
    if not records:
        raise ValueError(f"environment.file: {file} holds no puzzles")
    return records


def _puzzle(record: _Record) -> Puzzle:
    function = _function(record.sat, "sat")
    annotation = function.args.args[0].annotation
    assert annotation is not None
    kind = ast.unparse(annotation)
    parse_kind(kind)
    if record.credit:
        _function(record.credit, "credit")
    words = record.sol_docstring.strip().strip('"') or ast.get_docstring(function) or ""
    return Puzzle(
        name=record.name,
        sat=record.sat.strip("\n") + "\n",
        kind=kind,
        credit=record.credit,
        statement=" ".join(words.split()),
        header=_header(function),
    )


def _function(text: str, name: str) -> ast.FunctionDef:
    function = checker(text)
    if function.name != name:
        raise ValueError(f"has a checker named {function.name}, expected {name}")
    return function


def _header(function: ast.FunctionDef) -> str:
    """`sol` takes the checker's further arguments, and has the same values for them."""
    names = [argument.arg for argument in function.args.args[1:]]
    values = [ast.unparse(value) for value in function.args.defaults]
    pairs = zip(names, values, strict=True)
    return f"def sol({', '.join(f'{name}={value}' for name, value in pairs)}):"
