"""Which of a launcher's processes this is, and which graphics processors are its own."""

from __future__ import annotations

import os

import msgspec

from elm.dispatch.base import FleetError
from elm.dispatch.gpus import GpuError, gpu_readings

_LAUNCHER = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class SamplerError(FleetError):
    """A sampler cannot begin or go on; the message says why and what to do, in one line."""


class Rank(msgspec.Struct, frozen=True, kw_only=True):
    """One of the processes that a launcher started together."""

    number: int
    local: int  # among those of its machine
    world: int
    local_world: int
    master: str = ""  # host of rank 0's launcher
    port: int = 0  # of the store there
    agent_store: bool = False  # whether the launcher keeps the store, and not rank 0
    nonce: str = ""  # tells one attempt of one launch from the others

    @property
    def single_machine(self) -> bool:
        """Whether all ranks are on this machine."""
        return self.local_world == self.world


def current() -> Rank | None:
    """This process among those of its launcher; None where it is the only one.

    Raises:
        SamplerError: if the launcher's variables are not what they should be.
    """
    if int(_number("WORLD_SIZE", "1")) == 1:
        return None
    world, number, local = (_number(name) for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"))
    if not 0 <= number < world:
        raise SamplerError(f"RANK is {number}, but WORLD_SIZE is {world}: start with a launcher")
    if not os.environ.get("MASTER_ADDR") or not os.environ.get("MASTER_PORT"):
        raise SamplerError(
            "WORLD_SIZE is set, but MASTER_ADDR or MASTER_PORT is not: start with accelerate "
            "launch, or unset WORLD_SIZE"
        )
    return Rank(
        number=number,
        local=local,
        world=world,
        local_world=_number("LOCAL_WORLD_SIZE", str(world)),
        master=os.environ["MASTER_ADDR"],
        port=_number("MASTER_PORT"),
        agent_store=os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        nonce="/".join(
            os.environ.get(name, "0")
            for name in ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT")
        ),
    )


def settle(rank: Rank) -> None:
    """Gives this process its own share of the machine's devices, and makes it stand alone.

    To be called before anything loads torch. Ranks speak over ZeroMQ and need no process group,
    which a library that sees the launcher's variables would form, and wait for everybody in it.
    """
    devices = _devices()
    if devices:
        if len(devices) >= rank.local_world:
            each = len(devices) // rank.local_world
            own = devices[rank.local * each : (rank.local + 1) * each]
        else:  # more ranks than devices: they share
            own = [devices[rank.local % len(devices)]]
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(own)
    for name in _LAUNCHER:
        os.environ.pop(name, None)
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # or a page where the store has gone


def _devices() -> list[str]:
    """Devices that this process may see, as `CUDA_VISIBLE_DEVICES` names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [word.strip() for word in visible.split(",") if word.strip() not in ("", "-1")]
    try:
        return [str(gpu.index) for gpu in gpu_readings()]
    except GpuError:
        return []  # loading the model will say what is wrong with the driver


def _number(name: str, default: str | None = None) -> int:
    text = os.environ.get(name, default)
    if text is None or not text.strip().isdecimal():
        raise SamplerError(
            f"{name} must be a number, got {text!r}: start with accelerate launch, or unset "
            "WORLD_SIZE"
        )
    return int(text)
