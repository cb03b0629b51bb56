"""The command `elm`: what one does with a run afterwards.

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
    parser = _Parser(prog="elm", description="Looks after the runs that run_elm.py leaves.")
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
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "report":
            print(write_report(options.run))
        else:
            path, count = export(
                options.run, options.format, options.out,
                elites=options.elites, force=options.force,
            )  # fmt: skip
            print(f"{path}: {count:,} {'elites' if options.elites else 'candidates'}")
        sys.stdout.flush()
    except (ExportError, JournalError, ReportError) as error:
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
