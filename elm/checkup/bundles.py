"""What a sandbox is given: producer and judge, each complete and without the other."""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence

from environments.base import Environment, read_modules

OURS = ("environments", "elm", "sandbox")


def bundles(environment: Environment) -> Iterator[str]:
    """Both sides can be read, say what is asked of them, and import nothing that stays behind."""
    producer, judge = environment.producer_modules, environment.judge_modules
    if not producer:
        yield "producer_modules is empty, expected the module that holds produce() first"
        return
    if not judge and environment.scoring != "inside":
        yield f"judge_modules is empty, which scoring={environment.scoring!r} does not allow"
    sides = [("producer_modules", producer, "produce")]
    if judge:
        sides.append(("judge_modules", judge, "judge"))
    broken = False
    for side, modules, function in sides:
        for problem in _side(side, modules, function):
            broken = True
            yield problem
    if not broken:
        yield from _apart(producer, judge)


def _side(side: str, modules: Sequence[str], function: str) -> Iterator[str]:
    texts = {}
    for name in modules:
        try:
            texts.update(read_modules([name]))
        except (ImportError, OSError, UnicodeDecodeError) as error:
            yield f"{side}: {error}"
    trees = {}
    for name, text in texts.items():
        try:
            trees[name] = ast.parse(text)
        except SyntaxError as error:
            yield f"{side}: {_place(name, error.lineno or 0)}: {error.msg}"
    if modules[0] in trees and function not in _defined(trees[modules[0]]):
        yield f"{side}: {_place(modules[0], 1)}: defines no {function}()"
    for name, tree in trees.items():
        for imported, line in imports(name, tree):
            problem = _missing(imported, modules)
            if problem:
                yield f"{side}: {_place(name, line)}: {problem}"


def _apart(producer: Sequence[str], judge: Sequence[str]) -> Iterator[str]:
    if not judge:
        return
    if judge[0] in producer:
        yield f"producer_modules: holds the judge, {judge[0]!r}, which programs could read"
    if producer[0] in judge:
        yield f"judge_modules: holds the producer, {producer[0]!r}"
    texts = read_modules(sorted({*producer} & {*judge}))
    for name, text in texts.items():
        for imported, line in imports(name, ast.parse(text)):
            if "judge" in imported:
                yield f"producer_modules: {_place(name, line)}: imports {imported}"


def imports(module: str, tree: ast.Module) -> Iterator[tuple[tuple[str, ...] | str, int]]:
    """What a module imports, with the line: a name; or several of which one must be known."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            home = ".".join([*package, *([node.module] if node.module else [])])
            for alias in node.names:
                yield (home, f"{home}.{alias.name}"), node.lineno


def _missing(imported: tuple[str, ...] | str, modules: Sequence[str]) -> str:
    """Why an import would fail in a sandbox; "" where it would not."""
    names = (imported,) if isinstance(imported, str) else imported
    top = names[0].partition(".")[0]
    if top in OURS or top in {name.partition(".")[0] for name in modules}:
        if any(name in modules for name in names):
            return ""
        return f"imports {names[0]}, which is not in the list"
    if top in sys.stdlib_module_names or importlib.util.find_spec(top) is not None:
        return ""
    return f"imports {top}, which is not installed (pip install {top})"


def _defined(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            found.update(t.id for t in node.targets if isinstance(t, ast.Name))
    return found


def _place(name: str, line: int) -> str:
    package, _, stem = name.rpartition(".")
    home = importlib.import_module(package).__path__ if package else None
    spec = importlib.machinery.PathFinder.find_spec(name if home else stem, home)
    return f"{spec.origin if spec is not None else name}, line {line}"
