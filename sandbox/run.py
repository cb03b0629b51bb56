"""`python -m sandbox run FILE`: execute one program in a jailed slot and print what came of it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from sandbox.bundles import script_bundle
from sandbox.jail import LEVELS
from sandbox.protocol import Limits, Status, Task
from sandbox.slot import SandboxError, Slot


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    default = Limits()
    parser.add_argument("file", type=Path, help="the program; its variable `result` is returned")
    parser.add_argument("--level", choices=("auto", *LEVELS), default="auto", help="the jail")
    parser.add_argument("--seed", type=int, default=0, help="for random and numpy (default 0)")
    parser.add_argument(
        "--preload",
        default="",
        metavar="MODULES",
        help="modules to import before the program starts, separated by commas: numpy",
    )
    for name in default.__struct_fields__:
        value = getattr(default, name)
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=type(value), default=value, help=f"default {value}")


def main(arguments: argparse.Namespace) -> int:
    """Exit status 0 for a program that ended well, 1 for one that did not, 2 for no execution."""
    try:
        text = arguments.file.read_text(encoding="utf-8")
        limits = Limits(**{name: getattr(arguments, name) for name in Limits.__struct_fields__})
        preload = tuple(name for name in arguments.preload.split(",") if name)
        bundle = script_bundle(limits, preload)
        slot = Slot(bundle, level=arguments.level)
        slot.start()
    except (OSError, ValueError, SandboxError) as error:
        print(f"sandbox run: {error}", file=sys.stderr)
        return 2
    try:
        files = {arguments.file.name: text}
        evaluation = slot.evaluate(Task(0, bundle.digest, files, arguments.seed))
    finally:
        slot.close()
    report = {
        "status": evaluation.status,
        "detail": evaluation.detail,
        "result": evaluation.artifact,
        "output": evaluation.logs,
        "cpu_seconds": evaluation.cpu_seconds,
        "wall_seconds": evaluation.wall_seconds,
        "peak_memory_mb": evaluation.peak_memory_mb,
        "level": evaluation.level,
    }
    print(msgspec.json.format(msgspec.json.encode(report)).decode())
    return 0 if evaluation.status is Status.OK else 1
