"""Which device a process works on, and in what type it computes there."""

from __future__ import annotations

import os
import re

import torch

from elm.models.base import ModelError


def choose_device(asked: str = "auto") -> torch.device:
    """The device of this process.

    "auto" takes an accelerator where torch sees one, "cuda" (or another kind) one of that kind,
    each the one whose number is LOCAL_RANK modulo their count: ranks that a launcher starts on
    one machine spread over its accelerators. They need no process group for that.

    Raises:
        ModelError: if there is no such device, in one line that says what there is.
    """
    parsed = re.fullmatch(r"([a-z]+)(?::(\d+))?", asked)
    if parsed is None:
        raise ModelError(f"model.device: expected auto, cpu, cuda or cuda:<number>, got {asked!r}")
    kind, number = parsed[1], parsed[2]
    if kind == "cpu" and number is None:
        return torch.device("cpu")
    current = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    count = torch.accelerator.device_count() if current else 0
    if kind == "auto" and number is None and current is None:
        return torch.device("cpu")
    if current is None or kind not in ("auto", current.type):
        there = f"{count} of kind {current.type}" if current else "no accelerator"
        raise ModelError(
            f"model.device={asked}: torch {torch.__version__} sees {there} here; "
            "take model.device=auto, or install the torch that your driver needs"
        )
    if number is not None and int(number) >= count:
        last = f"{current.type}:{count - 1}"
        raise ModelError(f"model.device={asked}: the last one here is {last}")
    return torch.device(current.type, local_rank() % count if number is None else int(number))


def local_rank() -> int:
    """Number of this process among those that a launcher started on this machine, from 0.

    Raises:
        ModelError: if LOCAL_RANK is no such number.
    """
    given = os.environ.get("LOCAL_RANK", "0")
    if not given.isdecimal():
        raise ModelError(f"LOCAL_RANK: expected a number from 0, got {given!r}")
    return int(given)


def choose_dtype(asked: str, device: torch.device) -> torch.dtype:
    """What products are computed in; "auto" takes 16 bits where the hardware multiplies them."""
    if asked != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[
            asked
        ]
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16
    return torch.float32
