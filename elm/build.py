"""Turns the sections of a configuration into the parts they name."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import msgspec

from elm.config import ConfigError
from environments.base import Environment, registry
from environments.construct import construct, suggestion
from sandbox.protocol import Bundle, Limits


def build_environment(section: Mapping[str, Any]) -> Environment:
    """An environment by its registered name, or by `_target_`, a dotted path to its class.

    Raises:
        ConfigError: if there is no such environment, or one of its settings is wrong.
    """
    settings = {k: v for k, v in section.items() if k not in ("_target_", "limits")}
    choices: dict[str, Any] = {name: point.value for name, point in registry().items()}
    target = section.get("_target_")
    if target:
        choices[settings["name"]] = _import(str(target))
    try:
        environment: Environment = construct("environment", settings, choices)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return environment


def _import(target: str) -> type[Environment]:
    module, _, attribute = target.rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"environment._target_: cannot import {target!r}: {error}") from None
    if not (inspect.isclass(cls) and issubclass(cls, Environment)):
        raise ConfigError(f"environment._target_: {target!r} is no Environment")
    return cls


def build_bundle(environment: Environment, limits: Mapping[str, Any] | None = None) -> Bundle:
    """What a sandbox needs of an environment. `limits` override the environment's own.

    Raises:
        ConfigError: for an unknown or impossible limit.
    """
    parts = environment.parts()
    merged = {**parts["limits"], **(limits or {})}
    for key in merged:
        if key not in Limits.__struct_fields__:
            raise ConfigError(
                f"environment.limits.{key}: no such limit"
                f"{suggestion(key, Limits.__struct_fields__)}"
            )
    try:
        checked = msgspec.convert(merged, Limits)
    except (msgspec.ValidationError, ValueError) as error:
        raise ConfigError(f"environment.limits: {error}") from None
    return msgspec.convert({**parts, "limits": checked}, Bundle)
