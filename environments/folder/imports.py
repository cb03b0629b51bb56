"""What a folder's modules import when they are loaded, found in their text."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath

import msgspec

SHIM = ("openevolve", "openevolve.evaluation_result")  # what jails have in the place of a package
NETWORK = frozenset({"requests", "httpx", "aiohttp", "urllib3", "openai", "anthropic", "socket",
                     "urllib.request", "http", "ftplib", "smtplib"})  # fmt: skip
PROCESSES = frozenset({"subprocess", "multiprocessing"})
CLOCK = frozenset({"time", "timeit", "datetime", "resource", "psutil"})


class Import(msgspec.Struct, frozen=True):
    """A module that a file imports, dotted, and where."""

    module: str
    file: str
    line: int
    certain: bool  # at the top level of the module, outside of any condition or `try`

    @property
    def root(self) -> str:
        """The part before the first dot."""
        return self.module.partition(".")[0]


def imports(tree: ast.Module, file: str) -> list[Import]:
    """All imports of a module in the order of their lines, relative ones left out."""
    found = [Import(name, file, node.lineno, True) for node in tree.body for name in _names(node)]
    certain = {(found.module, found.line) for found in found}
    for node in ast.walk(tree):
        for name in _names(node):
            if (name, node.lineno) not in certain:  # type: ignore[attr-defined]
                found.append(Import(name, file, node.lineno, False))  # type: ignore[attr-defined]
    return sorted(found, key=lambda one: one.line)


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module
        for alias in node.names:
            if alias.name != "*" and _is_module(node.module, alias.name):
                yield f"{node.module}.{alias.name}"


def _is_module(package: str, name: str) -> bool:
    return find(f"{package}.{name}") is not None


def find(name: str) -> importlib.machinery.ModuleSpec | None:
    """Where an installed module is, without importing anything of it."""
    root, *rest = name.split(".")
    if root in sys.builtin_module_names and not rest:
        return importlib.machinery.BuiltinImporter.find_spec(root)
    spec = importlib.machinery.PathFinder.find_spec(root)
    if spec is None and root in sys.stdlib_module_names:
        spec = importlib.util.find_spec(root)  # frozen
    for depth, _ in enumerate(rest, 2):
        if spec is None or spec.submodule_search_locations is None:
            return None
        dotted = ".".join(name.split(".")[:depth])
        spec = importlib.machinery.PathFinder.find_spec(dotted, spec.submodule_search_locations)
    return spec


def own_modules(files: Collection[str]) -> set[str]:
    """Names under which a folder's files may be imported, whatever lies on the import path."""
    names = set()
    for file in files:
        path = PurePosixPath(file)
        if path.suffix == ".py":
            names.add(path.stem)
            names.update(path.parts[:-1])
    return names


def reached(start: str, trees: Mapping[str, ast.Module]) -> list[str]:
    """Files that a file imports when it is loaded, directly or not, itself first."""
    found, queue = [start], [start]
    while queue:
        file = queue.pop(0)
        for one in imports(trees[file], file):
            for other in trees:
                path = PurePosixPath(other)
                own = {path.stem, *path.parts[:-1]}
                if other not in found and own & set(one.module.split(".")):
                    found.append(other)
                    queue.append(other)
    return found


def lacking(found: Collection[Import], own: Collection[str]) -> Import | None:
    """The first module that will surely be asked for and that nobody has."""
    for one in found:
        if not one.certain or one.root in own or one.module in SHIM:
            continue
        if find(one.root) is None:
            return one
    return None


def to_preload(found: Collection[Import], own: Collection[str]) -> tuple[str, ...]:
    """Installed modules that every program would import, parents before what lies in them."""
    names = {
        one.module
        for one in found
        if one.certain
        and one.root not in own
        and one.root not in ("openevolve", "__future__")
        and find(one.module) is not None
    }
    return tuple(sorted(names))
