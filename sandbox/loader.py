"""Imports modules from text: the side of an environment that a process was given, and no other.

Installed copies of these packages are never looked at: a name below one of the bundle's roots, or
below a package of ours, either is in the bundle or does not exist.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import linecache
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

OURS = ("elm", "environments", "sandbox")


class BundleFinder:
    """Finds the modules of one `Code`, and empty packages for the parents it does not name.

    Finder and loader as `importlib` wants them. Its base classes for these would bring archives
    and temporary files into every zygote, and every child pays for what its zygote has mapped.
    """

    def __init__(self, modules: Mapping[str, str]) -> None:
        self._sources = dict(modules)
        self._roots = {*OURS, *(name.partition(".")[0] for name in modules)}
        self._packages = {
            ".".join(parts[:depth])
            for parts in (name.split(".") for name in modules)
            for depth in range(1, len(parts))
        }

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in self._roots:
            return None
        if fullname not in self._sources and fullname not in self._packages:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return importlib.machinery.ModuleSpec(
            fullname,
            self,  # type: ignore[arg-type]
            origin=f"<bundle {fullname}>",
            is_package=fullname in self._packages,
        )

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """None: a module of the usual kind."""

    def is_package(self, fullname: str) -> bool:
        return fullname in self._packages

    def get_source(self, fullname: str) -> str:
        return self._sources.get(fullname, "")

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        text = self.get_source(name)
        filename = f"<bundle {name}>"
        linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
        exec(compile(text, filename, "exec", dont_inherit=True), module.__dict__)


def load(code: Mapping[str, Any], preload: Sequence[str] = ()) -> ModuleType:
    """Import `preload`, then the entry module of a bundle's `Code` (as a plain mapping)."""
    sys.meta_path.insert(0, BundleFinder(code["modules"]))
    for name in preload:
        importlib.import_module(name)
        if name == "numpy":
            importlib.import_module("numpy.random")  # which numpy would load in each child
    return importlib.import_module(code["entry"])
