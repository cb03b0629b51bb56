"""Asks a folder's `score(solution)`. Runs in a jailed process of its own, without any program."""

from __future__ import annotations

import copy
import hashlib
import importlib.machinery
import json
import linecache
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from environments.artifact import BadArtifact
from environments.folder.metrics import findings

_scorers: list[Callable[[Any], Any]] = []


class _Finder:
    """Finds the folder's own modules, which are text here and no files."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources

    def find_spec(
        self, name: str, path: Any = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        package = any(other.startswith(f"{name}.") for other in self._sources)
        if name not in self._sources and not package:
            return None
        return importlib.machinery.ModuleSpec(
            name,
            self,  # type: ignore[arg-type]
            origin=name.replace(".", "/") + ".py",
            is_package=package,
        )

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """None: a module of the usual kind."""

    def exec_module(self, module: ModuleType) -> None:
        text = self._sources.get(module.__name__, "")
        file = module.__name__.replace(".", "/") + ".py"
        linecache.cache[file] = (len(text), None, text.splitlines(True), file)
        exec(compile(text, file, "exec", dont_inherit=True), module.__dict__)


def prepare(settings: dict[str, Any]) -> None:
    """Imports the module that holds `score`, once for all solutions."""
    sys.meta_path.insert(0, _Finder(settings["modules"]))
    module = importlib.import_module(settings["scorer"])
    _scorers[:] = [module.score]


def judge(artifact: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Metrics of a solution. `Folder.conclude` takes fitness and descriptor from them.

    Raises:
        BadArtifact: if `score` raises ValueError for the solution, or returns what is no number.
    """
    if type(artifact) is not dict or artifact.keys() != {"solution"}:
        raise BadArtifact('expected {"solution": ...}')
    if not _scorers:
        prepare(settings)
    solution = artifact["solution"]
    text = json.dumps(solution, sort_keys=True)
    try:
        found = findings(_scorers[0](copy.deepcopy(solution)))
    except (ValueError, TypeError, LookupError) as error:
        # A solution of another shape: that is what these say of data nobody checked before.
        raise BadArtifact(f"score: {type(error).__name__}: {error}"[:200]) from None
    if found.refused:
        raise BadArtifact(found.refused[0])
    return {
        "fitness": 0.0,
        "descriptor": [],
        "metrics": found.metrics,
        "behaviour": hashlib.sha256(text.encode()).hexdigest(),
    }
