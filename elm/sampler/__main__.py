"""`python -m elm.sampler --join tcp://HOST:PORT --run-key KEY`: makes parts for a run."""

from __future__ import annotations

import argparse
import os
import re
import socket
import sys
import traceback
from pathlib import Path

from elm.config import ConfigError
from elm.models.base import ModelError
from elm.sampler.link import Curve
from elm.sampler.rank import SamplerError
from elm.sampler.service import serve
from sandbox.keys import KeyPair, KeyTrouble, keep, public_key


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m elm.sampler",
        description="Make children for a run that listens (samplers.listen), until it is over. "
        "The model is the run's; keys of vendors come from this process's environment, and "
        "CUDA_VISIBLE_DEVICES says which devices it uses.",
    )
    add = parser.add_argument
    add("--join", metavar="tcp://HOST:PORT", help="the run to work for")
    add(
        "--run-key",
        metavar="KEY_OR_FILE",
        help="its public key (--run-key=KEY: some begin with a dash)",
    )
    add(
        "--keys", type=Path, metavar="FOLDER", help="keeps the sampler's key pair; else a fresh one"
    )
    add("--name", default=socket.gethostname(), help="given in results (default host name)")
    add("--connect", help=argparse.SUPPRESS)  # a socket file of the run on this machine
    add("--life", help=argparse.SUPPRESS)
    add("--parent", type=int, help=argparse.SUPPRESS)
    return parser


def main(argv: list[str] | None = None) -> int:
    """0 when the run is over or a signal was obeyed, 1 for what went wrong, 2 for wrong options."""
    arguments = _parser().parse_args(argv)
    try:
        address, curve = _run(arguments)
    except (SamplerError, KeyTrouble) as error:
        return _complain(str(error), 2)
    if not arguments.name or len(arguments.name) > 64 or not arguments.name.isprintable():
        return _complain(f"--name must be a short printable name, got {arguments.name[:100]!r}", 2)
    try:
        outcome = serve(
            address,
            name=arguments.name,
            curve=curve,
            life=arguments.life,
            parent=arguments.parent,
            say=_say,
        )
    except (SamplerError, ConfigError, ModelError, KeyTrouble, ValueError) as error:
        return _complain(" ".join(str(error).split()), 1)
    except Exception as error:
        traceback.print_exc()
        return _complain(f"a defect of this program: {type(error).__name__}: {error}", 70)
    _say(f"made {outcome.parts} parts; {outcome.reason}")
    return 130 if outcome.interrupted else 0


def _run(arguments: argparse.Namespace) -> tuple[str, Curve | None]:
    """The run's address, and the keys to speak to it with."""
    if arguments.connect is not None:
        return arguments.connect, None
    if arguments.join is None or arguments.run_key is None:
        raise SamplerError(
            "--join tcp://HOST:PORT and --run-key KEY are needed; the run prints both"
        )
    pattern = r"tcp://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}"
    if not re.fullmatch(pattern, arguments.join):
        raise SamplerError(f"--join must be tcp://HOST:PORT, got {arguments.join!r}")
    try:
        server = public_key(arguments.run_key)
    except KeyTrouble as error:
        raise SamplerError(f"--run-key: {error}") from None
    own = KeyPair.new() if arguments.keys is None else keep(arguments.keys, "sampler")
    _say(f"joins {arguments.join} as {arguments.name}; public key {own.public}")
    return arguments.join, Curve(own, server)


def _say(line: str) -> None:
    print(f"sampler: {line}", flush=True)


def _complain(line: str, code: int) -> int:
    print(f"sampler: {line}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: a thread may be generating, and the interpreter must neither wait for it nor
    # tear torch down under it.
    os._exit(code)
