"""Settings of the group `model`, checked before anything heavy is imported."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from elm.models.base import ModelError

Kind = Literal["none", "stub", "bundled", "transformers"]


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a configuration may say of a model. What a kind does not need, it ignores."""

    kind: Kind
    name: str
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device_map: str | None = None
    load_in_4bit: bool = False
    load_in_8bit: bool = False
    active_parameters: int | None = None
    engine: Literal["auto", "transformers"] = "auto"
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
        if self.load_in_4bit and self.load_in_8bit:
            raise ValueError("model.load_in_4bit and model.load_in_8bit exclude each other")


def read(settings: dict[str, Any]) -> ModelSettings:
    """Checks the types and values of a configuration.

    Raises:
        ModelError: naming the key, what was expected and what came.
    """
    try:
        return msgspec.convert(settings, ModelSettings)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$.")
        key = f"model.{where.rstrip('`')}" if where else "model"
        raise ModelError(message if message.startswith("model.") else f"{key}: {message}") from None
