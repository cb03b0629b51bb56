"""`elm new-environment`: writes a small environment that works, to be changed bit by bit."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shutil
import sys
import tempfile
from pathlib import Path

import elm.skeleton
from elm.config import ConfigError
from environments.base import registry

_TEMPLATE = Path(elm.skeleton.__file__).parent / "example"
_RUN = Path(elm.skeleton.__file__).parents[2] / "run_elm.py"  # where there is a checkout


def new_environment(name: str, into: Path) -> Path:
    """Writes the package `name` into a folder, and returns where.

    Raises:
        ConfigError: for a name that no package can have or that is taken; nothing is written then.
    """
    _check_name(name)
    target = into / name
    if not into.is_dir():
        raise ConfigError(f"{into}: no such folder")
    if target.exists():
        raise ConfigError(f"{target}: exists already, and nothing is overwritten")
    with tempfile.TemporaryDirectory(dir=into, prefix=f".{name}-") as draft:
        for source in sorted(_TEMPLATE.rglob("*")):
            if source.suffix not in (".py", ".yaml"):
                continue
            part = str(source.relative_to(_TEMPLATE)).replace("example", name)
            file = Path(draft) / name / part
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_renamed(source.read_text(encoding="utf-8"), name), encoding="utf-8")
        shutil.move(Path(draft) / name, target)
    return target


def next_steps(target: Path) -> str:
    """What to do with it: lines for a shell, in the folder that holds the package."""
    name = target.name
    run = str(_RUN) if _RUN.is_file() else "run_elm.py"
    lacks_pytest = importlib.util.find_spec("pytest") is None
    return "\n".join(
        [
            f"cd {target.parent.resolve()}",
            f"elm check-environment {name}",
            *([f"{sys.executable} -m pip install pytest"] if lacks_pytest else []),
            f"{sys.executable} -m pytest {name}",
            f"PYTHONPATH=. {sys.executable} {run} --config-dir {name}/configs environment={name}",
        ]
    )


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ConfigError(
            f"{name!r}: expected a name that a package can have: small letters, digits and '_', "
            "beginning with a letter"
        )
    if name in registry():
        raise ConfigError(f"{name!r}: an environment of this name is installed; take another")
    if name in sys.stdlib_module_names or name in ("elm", "sandbox", "environments", "configs"):
        raise ConfigError(f"{name!r}: is the name of a package that must stay importable")


def _renamed(text: str, name: str) -> str:
    title = "".join(part.capitalize() for part in name.split("_"))
    text = text.replace("elm.skeleton.example", name)
    return re.sub(r"\bExample\b", title, text).replace("example", name)
