"""Completes the sections of a configuration as the command line would, without Hydra.

The same files in `configs/` are read: a group's file by its name, `config.yaml` for what belongs to
no group, and what a file with `# @package _global_` says of other groups.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elm.config import ConfigError
from environments.construct import suggestion

GROUPS = ("environment", "model", "variation", "search", "archive", "dispatch")
# Where they are left out, their name is enough, as it is in `elm.config.Settings`.
_PARTS = ("search", "archive", "dispatch")
_HERE = Path(__file__).parents[2] / "configs"  # beside the package, installed or not


def complete(sections: Mapping[str, Any], *, fill: bool = True) -> dict[str, Any]:
    """Sections of a run, each as a mapping.

    A section may be the name of a file of its group, which then gives all its settings. A section
    that is a mapping stays as it is: the settings it leaves out have the defaults of the part that
    it names, which are those of the files. (A model's mapping without `kind` takes the rest from
    the file of its name.) A `budget` that is given is the whole budget.

    Args:
        sections: as the caller gave them.
        fill: whether sections that are absent are filled in; otherwise only names are read.

    Raises:
        ConfigError: for a name that no file of its group has, or a setting that a file leaves to
            its user, in one line.
    """
    given = {key: value for key, value in sections.items() if value is not None}
    environment = given.get("environment")
    name = environment.get("name") if isinstance(environment, Mapping) else environment
    if name is None and fill:
        name = _chosen(_load(_HERE / "config.yaml"), "environment")
    extra, chosen = _environment_file(name, needed=not isinstance(environment, Mapping))
    if not fill:
        extra = {"environment": extra.get("environment", {})}
    done: dict[str, Any] = {**given}
    for group in GROUPS:
        wanted = given.get(group)
        if isinstance(wanted, str):
            done[group] = _section(group, wanted, extra)
        elif isinstance(wanted, Mapping):
            done[group] = _mapping(group, dict(wanted), extra)
        elif wanted is None and fill:
            default = chosen.get(group) or _default(group, given)
            if group in _PARTS:
                done[group] = {"name": default, **extra.get(group, {})}
            else:
                done[group] = _section(group, default, extra)
    if fill and "budget" not in given:
        done["budget"] = {**_load(_HERE / "config.yaml")["budget"], **extra.get("budget", {})}
    return done


def _default(group: str, given: Mapping[str, Any]) -> str:
    """What `config.yaml` chooses; no model where the operator that was given asks none."""
    if group == "model" and "variation" in given and not _asks(given["variation"]):
        return "none"
    return _chosen(_load(_HERE / "config.yaml"), group)


def _asks(variation: Any) -> bool:
    """Whether an operator can want a language model."""
    from elm.variation import OPERATORS
    from elm.variation.asking import ModelOperator

    section = {"name": variation} if isinstance(variation, str) else variation
    name = section.get("name") if isinstance(section, Mapping) else None
    if name == "mixed":
        operators = section.get("operators") or {"prompt": {}}
        return any(_asks(name) for name in operators)
    if name not in OPERATORS:
        return True
    module, _, attribute = OPERATORS[str(name)].partition(":")
    return issubclass(getattr(importlib.import_module(module), attribute), ModelOperator)


def _section(group: str, name: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    if group == "environment":
        section: dict[str, Any] = dict(extra["environment"])
    else:
        section = {**_load(_file(group, name)), **extra.get(group, {})}
    for key, value in section.items():
        if value == "???":
            raise ConfigError(
                f"{group}.{key}: this setting is needed, for instance "
                f"{group}={{'name': {name!r}, {key!r}: ...}}"
            )
    return section


def _mapping(group: str, section: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    if group == "environment":
        return section
    if group == "model" and "kind" not in section and isinstance(section.get("name"), str):
        section = {**_section(group, section["name"], extra), **section}
    return {**extra.get(group, {}), **section}


def _environment_file(name: Any, *, needed: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """What the file of an environment says: sections, and the choices of groups."""
    if not isinstance(name, str):
        return {}, {}
    try:
        path = _file("environment", name)
    except ConfigError:
        if needed:
            raise
        return {}, {}  # somebody else's environment
    content = _load(path)
    chosen = {
        key.removeprefix("override ").strip().removeprefix("/"): value
        for choice in content.pop("defaults", [])
        if isinstance(choice, dict)
        for key, value in choice.items()
    }
    if "# @package _global_" not in path.read_text(encoding="utf-8").splitlines()[0]:
        content = {"environment": content}
    return content, chosen


def _file(group: str, name: str) -> Path:
    known = sorted(path.stem for path in (_HERE / group).glob("*.yaml"))
    if name not in known:
        raise ConfigError(
            f"{group}: no {name!r}{suggestion(name, known)} (known: {', '.join(known)})"
        )
    return _HERE / group / f"{name}.yaml"


def _chosen(content: Mapping[str, Any], group: str) -> str:
    return next(str(choice[group]) for choice in content["defaults"] if group in choice)


def _load(path: Path) -> dict[str, Any]:
    from omegaconf import OmegaConf  # as Hydra reads it: 1e-3 is a number

    content = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}
