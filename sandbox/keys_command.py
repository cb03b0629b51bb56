"""`python -m sandbox keys FOLDER`: makes a key pair, or shows the public half of one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sandbox.keys import KeyTrouble, keep


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("folder", type=Path, help="where the pair lies, or is put")
    parser.add_argument("--name", default="run", help="of the pair (default run)")


def main(arguments: argparse.Namespace) -> int:
    """Print the public key, which may be told to anybody; 2 if there is no usable pair."""
    name = arguments.name
    if not name or Path(name).name != name:
        print(f"sandbox keys: --name must be a plain name, got {name!r}", file=sys.stderr)
        return 2
    try:
        print(keep(arguments.folder, name).public)
    except KeyTrouble as error:
        print(f"sandbox keys: {error}", file=sys.stderr)
        return 2
    return 0
