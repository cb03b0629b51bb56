"""Settings of the section `samplers`, held against what they can be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from elm.dispatch.scaling import NODE_PERIOD
from environments.construct import suggestion

_Positive = Annotated[float, msgspec.Meta(gt=0)]


class SamplerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who makes the run's blocks.

    Raises:
        ValueError: for settings that do not go together, in one line that names the key.
    """

    here: bool | int = 1  # 1: the run's own process makes parts too; 0: only others do
    listen: str | None = None  # tcp://host:port where samplers may join by themselves
    keys: str | None = None  # folder that keeps the run's own key pair
    enrolled: str | None = None  # folder with the public keys of samplers that may join
    most: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1  # sampler processes on this machine
    heartbeat: _Positive = 1.0  # seconds between two signs of life
    patience: _Positive = 10.0  # seconds of silence after which others make a sampler's parts
    queue_factor: _Positive = 50.0  # waiting prompts for each sampler that ask for one more
    period: _Positive = NODE_PERIOD  # seconds for which a reason for one more or fewer must last
    gpu_free_gb: _Positive = 20.0  # what a device must have free to take one more

    def __post_init__(self) -> None:
        if int(self.here) not in (0, 1):
            raise ValueError(f"samplers.here must be 0 or 1, got {self.here}")
        if self.patience < 2 * self.heartbeat:
            raise ValueError(
                f"samplers.patience must be at least two heartbeats ({2 * self.heartbeat:g} s), "
                f"got {self.patience:g}"
            )
        self._check_door()

    def _check_door(self) -> None:
        if self.listen is None:
            if self.enrolled is not None:
                raise ValueError(
                    "samplers.enrolled: nobody can join without samplers.listen; set it, or leave "
                    "this out"
                )
            return
        match = re.fullmatch(r"tcp://([A-Za-z0-9.-]+|\*):(\d{1,5}|\*)", self.listen)
        if match is None or (match[2] != "*" and int(match[2]) > 65535):
            raise ValueError(
                "samplers.listen must be tcp://host:port, with an address of this machine or * "
                f"for all of them, got {self.listen!r}"
            )
        if self.keys is None:
            raise ValueError(
                "samplers.keys: samplers.listen needs a folder that keeps the run's key pair, so "
                "that samplers can be told its public key"
            )
        if self.enrolled is None:
            raise ValueError(
                "samplers.enrolled: samplers.listen needs a folder with the public keys (NAME.key) "
                "of the samplers that may join"
            )
        if not Path(self.enrolled).expanduser().is_dir():
            raise ValueError(f"samplers.enrolled: {self.enrolled} is no folder")

    @property
    def door(self) -> str | None:
        """`listen` as ZeroMQ binds it: port 0 takes a free one."""
        if self.listen is None:
            return None
        host, _, port = self.listen.removeprefix("tcp://").rpartition(":")
        return f"tcp://{'*' if host == '0.0.0.0' else host}:{'*' if port == '0' else port}"


def read(section: Mapping[str, Any]) -> SamplerSettings:
    """Checks the section.

    Raises:
        ValueError: naming the key, what was expected and what came.
    """
    for key in section:
        if key not in SamplerSettings.__struct_fields__:
            raise ValueError(
                f"samplers.{key}: no such setting"
                f"{suggestion(str(key), SamplerSettings.__struct_fields__)}"
            )
    try:
        return msgspec.convert(dict(section), SamplerSettings)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$.")
        key = where.rstrip("`")
        if not key:
            raise ValueError(message) from None
        message = message.replace("`", "").partition(", got ")[0]
        value = section.get(key)
        raise ValueError(
            f"samplers.{key}: {message[0].lower()}{message[1:]}, got {value!r}"
        ) from None
