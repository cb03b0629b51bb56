"""Reads a specification as text: nothing of it is executed here."""

from __future__ import annotations

import ast
import importlib.util
import math
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from environments.construct import suggestion
from environments.specification.marks import MODULE, Mark, imports, marked
from environments.specification.parting import binding

LIBRARY = Path(__file__).parent / "library"
INPUTS = "INPUTS"
F_MIN = "F_MIN"
PREPARE = "prepare"
CHECK = "check"
MOST_CHARACTERS = 1_000_000


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A specification and what was found in it."""

    file: str  # its name without folders
    text: str
    docstring: str
    evolve: str  # the function that evolves
    function: str  # its text, without decorators
    signature: str  # its first line or lines
    opening: str  # the signature, and the docstring where there is one
    entry: str
    check: str | None  # None where the file defines no such function
    inputs: list[Any] | None  # of its constant INPUTS
    f_min: float  # of its constant F_MIN: the worst score there is; 0 without it
    modules: frozenset[str]  # top-level names of what it imports


def locate(path: str) -> Path:
    """The file that a setting names: a path, or a specification that comes with the project.

    Raises:
        ValueError: if there is no such file.
    """
    if not path:
        raise ValueError(
            "environment.path must name a file, or one of the shipped specifications: "
            f"{', '.join(shipped())}"
        )
    if "/" in path or "." in path:
        found = Path(path).expanduser()
        if not found.is_file():
            raise ValueError(f"environment.path: no file {path}")
        return found
    found = LIBRARY / f"{path}.py"
    if path not in shipped():
        raise ValueError(
            f"environment.path: no specification {path!r} is shipped, known: "
            f"{', '.join(shipped())}{suggestion(path, shipped())}; a file of your own is named "
            "with its suffix"
        )
    return found


def shipped() -> list[str]:
    """Names of the specifications that come with the project."""
    return sorted(p.stem for p in LIBRARY.glob("*.py") if not p.stem.startswith("_"))


def read(path: Path, *, evolve: str, entry: str, check: str) -> Source:
    """Reads a file and finds its functions.

    Args:
        evolve: the function that evolves, where none is marked with `@funsearch.evolve`.
        entry: the function to be called, where none is marked with `@funsearch.run`.
        check: the function that computes a score from a solution alone, where there is one.

    Raises:
        ValueError: in one line with file and line, if the file cannot be used.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"environment.path: cannot read {path}: {error}") from None
    return parse(text, str(path), evolve=evolve, entry=entry, check=check)


def parse(text: str, path: str, *, evolve: str, entry: str, check: str) -> Source:
    """The same for a text. `path` is what messages call it."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"environment.path: {path} is over {MOST_CHARACTERS} characters")
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise _wrong(path, error.lineno or 1, f"does not parse: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise _wrong(path, 1, f"does not parse: {error}") from None
    evolving = _function(tree, path, "evolve", evolve)
    called = _function(tree, path, "run", entry)
    if evolving is called:
        raise _wrong(path, called.lineno, f"{called.name} cannot both evolve and evaluate")
    tops = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if check in (evolving.name, called.name):
        raise _wrong(path, tops[check].lineno, f"{check} cannot check itself")
    _takes(path, called, 1)
    for name, count in ((check, 2), (PREPARE, 1)):
        if name in tops:
            _takes(path, tops[name], count)
    _refuse_odd_check(tree, path, check, tops)
    function = _bare(text, evolving)
    signature, opening = _opening(function)
    return Source(
        file=Path(path).name,
        text=text,
        docstring=ast.get_docstring(tree) or "",
        evolve=evolving.name,
        function=function,
        signature=signature,
        opening=opening,
        entry=called.name,
        check=check if check in tops else None,
        inputs=_inputs(tree, path),
        f_min=_f_min(tree, path),
        modules=_installed(tree, path),
    )


def _wrong(path: str, line: int, what: str) -> ValueError:
    return ValueError(f"environment.path: {path}, line {line}: {what}")


def _function(tree: ast.Module, path: str, mark: Mark, name: str) -> ast.FunctionDef:
    """The function that is marked, or else the one of a name."""
    setting = "evolve" if mark == "evolve" else "entry"
    found = marked(tree, mark)
    if len(found) > 1:
        lines = " and ".join(str(node.lineno) for node in found)
        raise _wrong(
            path,
            found[1].lineno,
            f"@funsearch.{mark} marks {len(found)} functions (lines {lines}), and may mark one",
        )
    if not found:
        same = [
            node
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
        ]
        if not same:
            known = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
            raise _wrong(
                path,
                1,
                f"no function is marked with @funsearch.{mark}, and none at the top level is "
                f"called {name} (environment.{setting}); it defines {', '.join(known) or 'none'}"
                f"{suggestion(name, known)}",
            )
        if len(same) > 1:
            raise _wrong(path, same[1].lineno, f"defines {name} twice, see line {same[0].lineno}")
        found = same
    (node,) = found
    if isinstance(node, ast.AsyncFunctionDef):
        raise _wrong(
            path, node.lineno, f"{node.name} is asynchronous, and must be a plain function"
        )
    if node not in tree.body:
        raise _wrong(
            path, node.lineno, f"{node.name} must stand at the top level of the file to be found"
        )
    return node


def _takes(path: str, node: ast.FunctionDef, count: int) -> None:
    """Refuses a function that cannot be called with so many arguments by position."""
    spec = node.args
    most = len(spec.posonlyargs) + len(spec.args)
    least = most - len(spec.defaults)
    needed = [a.arg for a, d in zip(spec.kwonlyargs, spec.kw_defaults, strict=True) if d is None]
    if least > count or (most < count and spec.vararg is None) or needed:
        wanted = "(params)" if count == 1 else "(params, solution)"
        raise _wrong(
            path, node.lineno, f"{node.name} is called as {node.name}{wanted}, and cannot be"
        )


def _refuse_odd_check(
    tree: ast.Module, path: str, check: str, tops: Mapping[str, ast.FunctionDef]
) -> None:
    """A check that is not found must not leave scores unverified without a word."""
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) and check in binding(node):
            raise _wrong(path, node.lineno, f"{check} must be defined by `def` at the top level")
    if check not in tops and check != CHECK:
        raise _wrong(path, 1, f"no function {check} at the top level (environment.check)")


def _bare(text: str, node: ast.FunctionDef) -> str:
    """The text of a function without its decorators, ending with a newline."""
    if node.body[0].lineno == node.lineno:  # all in one line: operators work on statements
        copy = ast.parse(text).body
        twin = next(n for n in copy if isinstance(n, ast.FunctionDef) and n.lineno == node.lineno)
        twin.decorator_list = []
        return ast.unparse(twin) + "\n"
    lines = text.split("\n")[node.lineno - 1 : node.end_lineno]
    return textwrap.dedent("\n".join(lines)) + "\n"


def _opening(function: str) -> tuple[str, str]:
    """The signature of a function's text, and the signature with the docstring."""
    (node,) = ast.parse(function).body
    assert isinstance(node, ast.FunctionDef)
    lines, first = function.split("\n"), node.body[0]
    above = lines[: first.lineno - 1]
    while not above[-1].strip() or above[-1].lstrip().startswith("#"):
        above.pop()
    signature = "\n".join(above)
    documented = ast.get_docstring(node) is not None and len(node.body) > 1
    end = first.end_lineno if documented else None
    return signature, "\n".join(lines[:end]) if end else signature


def _inputs(tree: ast.Module, path: str) -> list[Any] | None:
    line, found = _constant(tree, path, INPUTS, "a list of literals")
    if found is not None and not isinstance(found, list | tuple):
        raise _wrong(path, line, f"{INPUTS} must be a list")
    return None if found is None else list(found)


def _f_min(tree: ast.Module, path: str) -> float:
    line, found = _constant(tree, path, F_MIN, "a number")
    if found is None:
        return 0.0
    if type(found) not in (int, float) or not math.isfinite(found):
        raise _wrong(path, line, f"{F_MIN} must be a number")
    return float(found)


def _constant(tree: ast.Module, path: str, name: str, what: str) -> tuple[int, Any]:
    """The line and the value of a constant at the top of a file; None where there is none."""
    line, found = 0, None
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            line = node.lineno
            try:
                found = ast.literal_eval(value)
            except (ValueError, TypeError, RecursionError, MemoryError):
                raise _wrong(path, line, f"{name} must be written out as {what}") from None
    return line, found


def _installed(tree: ast.Module, path: str) -> frozenset[str]:
    """Refuses imports that cannot succeed; returns the names of all others."""
    names = set()
    for line, name in imports(tree):
        if name == ".":
            raise _wrong(path, line, "imports from beside itself; a specification is one file")
        if name == MODULE or name in names:
            continue
        try:
            known = importlib.util.find_spec(name) is not None
        except (ImportError, ValueError):
            known = False
        if not known:
            raise _wrong(
                path, line, f"imports {name}, which is not installed (a specification is one file)"
            )
        names.add(name)
    return frozenset(names)
