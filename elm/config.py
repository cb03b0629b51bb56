"""What a run is told, checked before anything is created."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from elm.budget import Budget
from environments.construct import suggestion

Section = dict[str, Any]


class ConfigError(Exception):
    """A setting is wrong; the message names its key, what was expected and what came."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings of a run. Each section has a `name` and that part's own settings."""

    environment: Section
    model: Section = msgspec.field(default_factory=lambda: {"kind": "none", "name": "none"})
    variation: Section
    search: Section = msgspec.field(default_factory=lambda: {"name": "map_elites"})
    archive: Section = msgspec.field(default_factory=lambda: {"name": "grid"})
    dispatch: Section = msgspec.field(default_factory=lambda: {"name": "local"})
    samplers: Section = msgspec.field(default_factory=dict)
    budget: Budget
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    batch_size: Annotated[int, msgspec.Meta(gt=0)] = 32
    lookahead: Annotated[int, msgspec.Meta(ge=0)] = 1
    order: Literal["committed", "arrival"] = "committed"
    run_name: str | None = None
    run_dir: str = "runs"
    resume: bool = False
    report: bool = True
    view: Literal["auto", "rich", "plain", "none"] = "auto"

    def identity(self) -> dict[str, Any]:
        """What decides the archive: all that a resumed run must have in common with the first."""
        order = {} if self.order == "committed" else {"order": self.order}
        return order | {
            "environment": self.environment,
            "model": self.model,
            "variation": self.variation,
            "search": self.search,
            "archive": self.archive,
            "seed": self.seed,
            "batch_size": self.batch_size,
            "lookahead": self.lookahead,
        }


def check(config: Mapping[str, Any]) -> Settings:
    """Turns plain nested mappings into settings.

    Raises:
        ConfigError: for an unknown key, a wrong type or an impossible value, in one line.
    """
    try:
        settings = msgspec.convert(config, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error), config)) from None
    for key in ("environment", "model", "variation", "search", "archive", "dispatch"):
        name = getattr(settings, key).get("name")
        if not isinstance(name, str) or not name:
            raise ConfigError(f"{key}.name: expected a name, got {name!r}")
    name = settings.run_name
    if name is not None and not re.fullmatch(r"[\w][\w.+-]*", name):
        raise ConfigError(
            f"run_name: expected letters, digits, '.', '_', '+' and '-', got {name!r}"
        )
    limits = {k: v for k, v in msgspec.structs.asdict(settings.budget).items() if v is not None}
    if not set(limits) - {"stall_blocks", "fitness"}:
        raise ConfigError(
            "budget: no limit is set, so the run would never end; set budget.evaluations, "
            ".model_calls, .tokens, .seconds or .cost"
        )
    return settings


def _explain(message: str, config: Mapping[str, Any]) -> str:
    """Puts the key in front: "Expected `int`, got `str` - at `$.budget.evaluations`"."""
    said, _, where = message.partition(" - at `")
    path = where.rstrip("`").removeprefix("$").lstrip(".")
    unknown = re.search(r"unknown field `(.+?)`", said)
    if unknown:
        known = Budget.__struct_fields__ if path == "budget" else Settings.__struct_fields__
        key = f"{path}.{unknown[1]}".lstrip(".")
        return f"{key}: no such setting{suggestion(unknown[1], known)}"
    missing = re.search(r"missing required field `(.+?)`", said)
    if missing:
        return f"{missing[1]}: missing"
    value: Any = config
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if said.startswith("Invalid enum value"):
        words = typing.get_args(typing.get_type_hints(Settings)[path])
        return (
            f"{path}: expected one of {', '.join(words)}, got {value!r}{suggestion(value, words)}"
        )
    said = re.sub(r", got `.+?`$", "", said).replace("`", "")
    said = said[0].lower() + said[1:]
    return f"{path or 'config'}: {said}, got {value!r}"
