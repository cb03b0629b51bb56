"""What the graphics processors of this machine have left, as `nvidia-smi` tells it."""

from __future__ import annotations

import subprocess

import msgspec

TIMEOUT_SECONDS = 20.0  # a driver that wakes a device up takes some of them
_FIELDS = "index,name,memory.total,memory.free,utilization.gpu"
_MIB = 1024**2


class Gpu(msgspec.Struct, frozen=True):
    """One device."""

    index: int
    name: str
    total_bytes: int
    free_bytes: int
    busy: float  # share of the last moment in which it worked, 0 to 1


class GpuError(Exception):
    """`nvidia-smi` is there and failed; one line."""


def gpu_readings() -> list[Gpu]:
    """All devices that can be read, by index; an empty list where there is no `nvidia-smi`.

    Blocks for as long as the command takes, tens of milliseconds as a rule.

    Raises:
        GpuError: if the command fails or prints what it should not.
    """
    command = ["nvidia-smi", f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_SECONDS,
        )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise GpuError(f"nvidia-smi cannot be executed: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise GpuError(f"nvidia-smi gave no answer within {TIMEOUT_SECONDS:g} s") from None
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        if any("No devices were found" in line for line in lines):
            return []
        last = lines[-1][:200] if lines else "no word"
        raise GpuError(f"nvidia-smi ended with exit status {done.returncode}: {last}")
    found = [_parse(line) for line in done.stdout.splitlines() if line.strip()]
    return [gpu for gpu in found if gpu is not None]


def _parse(line: str) -> Gpu | None:
    """One line of the table; None for a device that does not tell, as a partitioned one."""
    words = [word.strip() for word in line.split(",")]
    if len(words) != len(_FIELDS.split(",")):
        raise GpuError(f"nvidia-smi printed {line[:200]!r} where {_FIELDS} was asked for")
    if any(word.startswith("[") for word in words[2:]):  # "[N/A]", "[Not Supported]"
        return None
    try:
        index, total, free, busy = (int(word) for word in (words[0], *words[2:]))
    except ValueError:
        raise GpuError(f"nvidia-smi printed {line[:200]!r} where numbers belong") from None
    return Gpu(index, words[1], total * _MIB, free * _MIB, busy / 100)
