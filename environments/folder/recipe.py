"""The YAML file of a folder: what of it means something here, and what does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

THRESHOLDS = (0.5, 0.75, 0.9)
MAX_INSTRUCTION = 8_000

_BUDGETS = {"max_iterations": "budget.evaluations"}
# What a folder's own search would use it for, and what this one has for that.
_USED = frozenset({
    "max_iterations", "evaluator.timeout", "evaluator.cascade_evaluation",
    "evaluator.cascade_thresholds", "prompt.system_message", "database.feature_dimensions",
    "database.feature_bins",
})  # fmt: skip


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder says of its evaluation."""

    timeout: float | None = None  # seconds for one evaluation
    cascade: bool = True  # where the evaluator has stages at all
    thresholds: tuple[float, ...] = THRESHOLDS
    instruction: str = ""
    features: tuple[str, ...] = ()
    bins: int | None = None
    warnings: tuple[str, ...] = ()


def read(text: str, name: str) -> Recipe:
    """The meaningful keys of a configuration in OpenEvolve's format.

    Raises:
        ValueError: for what is no YAML, or a key with a value that it cannot have, with its name.
    """
    import yaml  # late: only folders with such a file pay for it

    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"config: {name}: {' '.join(str(error).split())[:200]}") from None
    if data is None:
        return Recipe()
    if not isinstance(data, dict):
        raise ValueError(f"config: {name}: expected a mapping, got {type(data).__name__}")
    keys = dict(_flat(data))
    dimensions = _get(keys, name, "database.feature_dimensions", list[str], [])
    bins = keys.get("database.feature_bins")
    recipe = Recipe(
        timeout=_get(keys, name, "evaluator.timeout", float | None, None),
        cascade=_get(keys, name, "evaluator.cascade_evaluation", bool, True),
        thresholds=_get(keys, name, "evaluator.cascade_thresholds", tuple[float, ...], THRESHOLDS),
        instruction=_get(keys, name, "prompt.system_message", str, "").strip()[:MAX_INSTRUCTION],
        features=tuple(dimensions),
        bins=bins if isinstance(bins, int) and not isinstance(bins, bool) and bins > 0 else None,
    )
    if recipe.timeout is not None and recipe.timeout <= 0:
        raise ValueError(f"config: {name}: evaluator.timeout must be above 0")
    return msgspec.structs.replace(recipe, warnings=tuple(_warnings(keys, name)))


def _flat(data: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            for inner, below in value.items():
                yield f"{key}.{inner}", below
        else:
            yield str(key), value


def _get(keys: Mapping[str, Any], name: str, key: str, kind: Any, default: Any) -> Any:
    value = keys.get(key)
    if value is None:
        return default
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"config: {name}: {key}: {error}, got {value!r}") from None


def _warnings(keys: Mapping[str, Any], name: str) -> Iterator[str]:
    for key, ours in _BUDGETS.items():
        if key in keys:
            yield f"{name}: {key} is a matter of the run; say {ours}={keys[key]}"
    unused = sorted(keys.keys() - _USED)
    sections = sorted({key.partition(".")[0] for key in unused if key.startswith("llm.")})
    shown = sections + [key for key in unused if not key.startswith("llm.")]
    if shown:
        yield f"{name}: these keys mean nothing here: {', '.join(shown)}"
