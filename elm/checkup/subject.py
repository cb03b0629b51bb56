"""What a person means by the path of an environment."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from elm.build import build_environment
from elm.checkup import described
from elm.config import ConfigError
from environments.base import Environment, registry
from environments.construct import suggestion

_EVALUATORS = ("evaluator.py", "evaluate.py")


def subject(target: str, settings: Mapping[str, Any]) -> Environment:
    """An environment from a file, a folder, `package.module:Class` or a registered name.

    A file is a specification, unless a class derived from `Environment` stands in it; a folder
    holds an evaluator, or an `environment.py`.

    Raises:
        ConfigError: if it is none of these or cannot be built, in one line.
    """
    return build_environment(section(target, settings))


def section(target: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The section `environment` of a configuration that a target stands for.

    Raises:
        ConfigError: if it stands for none.
    """
    path = Path(target)
    if path.is_file():
        if path.suffix != ".py":
            raise ConfigError(f"{target}: expected a Python file or a folder")
        if not _classes(path):
            return {"name": "specification", "path": target, **settings}
        return _own(*_module_of(path), None, settings)
    if path.is_dir():
        if any((path / name).is_file() for name in _EVALUATORS):
            return {"name": "folder", "path": target, **settings}
        if (path / "environment.py").is_file():
            return _own(*_module_of(path / "environment.py"), None, settings)
        raise ConfigError(
            f"{target}: this folder holds neither environment.py nor {' nor '.join(_EVALUATORS)}"
        )
    if ":" in target:
        module, _, name = target.partition(":")
        return _own(Path.cwd(), module, name, settings)
    known = registry()
    if target in known:
        return {"name": target, **settings}
    raise ConfigError(
        f"{target}: no such file or folder, no package.module:Class, and no environment of that "
        f"name{suggestion(target, known)} (known: {', '.join(sorted(known))})"
    )


def _classes(path: Path) -> list[str]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise ConfigError(f"{path}{line}: {reason}") from None
    return [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(base).endswith("Environment") for base in node.bases)
    ]


def _module_of(path: Path) -> tuple[Path, str]:
    """Where imports begin for a file, and its dotted name from there."""
    path = path.resolve()
    parts = [path.stem]
    home = path.parent
    if path.name == "environment.py" or (home / "__init__.py").is_file():
        parts.insert(0, home.name)
        home = home.parent
        while (home / "__init__.py").is_file():
            parts.insert(0, home.name)
            home = home.parent
    return home, ".".join(parts)


def _own(home: Path, module: str, name: str | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    if str(home) not in sys.path:
        sys.path.insert(0, str(home))  # as the module's own imports, and its bundle, need it
    try:
        loaded = importlib.import_module(module)
    except Exception as error:  # whatever stands in somebody's module
        raise ConfigError(f"{module}: cannot be imported: {described(error)}") from None
    found = dict(_environments(loaded))
    if name is None:
        if len(found) != 1:
            raise ConfigError(
                f"{module}: {len(found)} environments in it ({', '.join(found) or 'none'}); name "
                f"one: {module}:CLASS"
            )
        (name,) = found
    if name not in found:
        raise ConfigError(
            f"{module}:{name}: no such Environment there{suggestion(name, found)} "
            f"(found: {', '.join(found) or 'none'})"
        )
    return {**settings, "name": found[name].name, "_target_": f"{module}.{name}"}


def _environments(module: Any) -> Iterator[tuple[str, type[Environment]]]:
    for name, value in vars(module).items():
        ours = isinstance(value, type) and issubclass(value, Environment)
        if ours and value.__module__ == module.__name__:
            yield name, value
