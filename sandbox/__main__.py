"""`python -m sandbox COMMAND`: execute programs, and check what this machine can hold them with.

Each command is a module with `configure(parser)` and `main(arguments) -> exit status`; only the
one that was asked for is imported. A new command is one more line in `COMMANDS`.
"""

from __future__ import annotations

import argparse
import importlib
import sys

COMMANDS = {
    "serve": ("sandbox.serve", "offer this machine's slots to runs, and to anybody by HTTP"),
    "keys": ("sandbox.keys_command", "make a key pair, or show the public half of one"),
    "worker": ("sandbox.worker", "execute programs for a run, over ZeroMQ"),
    "run": ("sandbox.run", "execute one program in a jailed slot and print what came of it"),
    "doctor": ("sandbox.doctor", "probe what jail this machine supports, with a live trial"),
}


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and hand over to the command; its exit status comes back."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if argv and argv[0] == name:
            loaded = importlib.import_module(module)
            loaded.configure(command)
            command.set_defaults(main=loaded.main)
    arguments = parser.parse_args(argv)
    return int(arguments.main(arguments))


if __name__ == "__main__":
    sys.exit(main())
