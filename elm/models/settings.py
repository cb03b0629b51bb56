"""Settings of the group `model`, checked before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import msgspec

from elm.models.base import ModelError
from environments.construct import suggestion

S = TypeVar("S", bound=msgspec.Struct)
Kind = Literal["none", "stub", "bundled", "transformers"]


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a configuration may say of a model. What a kind does not need, it ignores."""

    kind: Kind
    name: str
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: str = "auto"
    device_map: str | None = None
    adapter: str | None = None
    load_in_4bit: bool = False
    load_in_8bit: bool = False
    active_parameters: int | None = None
    engine: Literal["auto", "transformers", "continuous"] = "auto"
    threads: int = 2
    micro_batch: int = 32
    max_new_tokens: int = 192
    temperature: float = 1.0
    top_p: float = 0.95
    top_k: int = 0

    def __post_init__(self) -> None:
        for name in ("threads", "micro_batch", "max_new_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"model.{name} must be at least 1, got {getattr(self, name)}")
        if not self.temperature >= 0:
            raise ValueError(f"model.temperature must not be below 0, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"model.top_p must be above 0 and at most 1, got {self.top_p}")
        if self.top_k < 0:
            raise ValueError(f"model.top_k must not be below 0, got {self.top_k}")
        if self.device_map is not None and self.device != "auto":
            raise ValueError("model.device and model.device_map exclude each other")
        if self.load_in_4bit and self.load_in_8bit:
            raise ValueError("model.load_in_4bit and model.load_in_8bit exclude each other")


def read(settings: Mapping[str, Any]) -> ModelSettings:
    """Checks the types and values of a configuration of a model on this machine.

    Raises:
        ModelError: naming the key, what was expected and what came.
    """
    return convert(settings, ModelSettings)


def convert(settings: Mapping[str, Any], kind: type[S]) -> S:
    """The same for the settings of any kind.

    Raises:
        ModelError: naming the key, what was expected and what came.
    """
    for key in settings:
        if key not in kind.__struct_fields__:
            raise ModelError(
                f"model.{key}: no such setting of kind {settings.get('kind')!r}"
                f"{suggestion(key, kind.__struct_fields__)}"
            )
    try:
        return msgspec.convert(settings, kind)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$.")
        key = f"model.{where.rstrip('`')}" if where else "model"
        raise ModelError(message if message.startswith("model.") else f"{key}: {message}") from None
