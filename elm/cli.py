"""The command `elm`: what one does with a run afterwards, and with an environment before.

Exit codes: 0 done, 1 it could not be done, 2 the command line is wrong, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn

from elm.config import ConfigError
from elm.export import FORMATS, ExportError, export
from elm.journal import JournalError
from elm.report.html import ReportError, write_report


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage around it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"elm: error: {message} ({self.prog} --help says more)\n")


def _version() -> str:
    try:
        return version("elm")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "not installed"


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="elm", description="Looks after runs and environments.")
    parser.add_argument("--version", action="version", version=f"elm {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    report = commands.add_parser(
        "report", help="write report.html anew", description="Writes RUN/report.html anew."
    )
    report.add_argument("run", type=Path, metavar="RUN", help="a run folder")

    out = commands.add_parser(
        "export",
        help="hand candidates, evaluations and model calls to other programs",
        description="Writes every candidate of a run, with its evaluation and its model calls.",
    )
    out.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    out.add_argument(
        "--format",
        required=True,
        choices=FORMATS,
        help="jsonl: an object a line; parquet: flat columns; dir: a folder a candidate",
    )
    out.add_argument("--out", type=Path, help="where to; default: RUN/export.FORMAT")
    out.add_argument("--elites", action="store_true", help="only what is in the archive")
    out.add_argument("--force", action="store_true", help="replace an earlier export")

    new = commands.add_parser(
        "new-environment",
        help="write a small environment that works, with a test",
        description="Writes the package NAME: an environment that works, its config and its test.",
    )
    new.add_argument("name", metavar="NAME", help="of the package")
    new.add_argument("--into", type=Path, default=Path(), metavar="DIR", help="default: .")

    checkup = commands.add_parser(
        "check-environment",
        help="say what is wrong with an environment or a specification",
        description="Holds an environment against its contract, with a sandbox of this machine.",
    )
    checkup.add_argument(
        "target",
        metavar="PATH",
        help="a specification, an evaluator's folder, the folder or package.module:Class of an "
        "environment, or the name of an installed one",
    )
    checkup.add_argument(
        "--setting", action="append", default=[], metavar="KEY=VALUE", help="of the environment"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "report":
            print(write_report(options.run))
        elif options.command == "new-environment":
            from elm.commands.new_environment import new_environment, next_steps

            print(next_steps(new_environment(options.name, options.into)))
        elif options.command == "check-environment":
            from elm.commands.check_environment import check_environment

            return 1 if check_environment(options.target, options.setting) else 0
        else:
            path, count = export(
                options.run, options.format, options.out,
                elites=options.elites, force=options.force,
            )  # fmt: skip
            print(f"{path}: {count:,} {'elites' if options.elites else 'candidates'}")
        sys.stdout.flush()
    except (ConfigError, ExportError, JournalError, ReportError) as error:
        return _fail(str(error))
    except BrokenPipeError:
        # Whoever read our output has gone; keep the interpreter from complaining at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}")
    except KeyboardInterrupt:
        print("elm: interrupted", file=sys.stderr)
        return 130
    return 0


def _fail(message: str) -> int:
    print(f"elm: error: {' '.join(message.split())}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
