"""The command `elm`, as a shell runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from elm.cli import main

HERE = str(Path(__file__).parent)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "required: COMMAND"),
        (["frobnicate"], 2, "invalid choice: 'frobnicate'"),
        (["export"], 2, "required: RUN, --format"),
        (["export", "x", "--format", "csv"], 2, "invalid choice: 'csv'"),
        (["export", "no/where", "--format", "jsonl"], 1, "no/where: no run folder"),
        (["report", "no/where"], 1, "no/where: no run folder"),
        (["new-environment"], 2, "required: NAME"),
        (["new-environment", "a-b"], 1, "expected a name that a package can have"),
        (["check-environment", "no/where"], 1, "no/where: no such file or folder"),
    ],
)
def test_mistakes_are_one_line_on_stderr(capsys, arguments, code, said):
    try:
        result = main(arguments)
    except SystemExit as end:
        result = end.code
    out, err = capsys.readouterr()
    assert result == code
    assert out == "" and err.startswith("elm: error: ") and err.count("\n") == 1 and said in err


def test_report_and_export_say_where_they_wrote(make_run, capsys):
    run = make_run()
    assert main(["report", str(run.folder)]) == 0
    assert capsys.readouterr().out.strip() == str(run.folder / "report.html")
    arguments = ["export", str(run.folder), "--format", "jsonl"]
    assert main(arguments) == 0
    out = capsys.readouterr().out.strip()
    assert out == f"{run.folder / 'export.jsonl'}: {len(run.candidates)} candidates"
    assert main(arguments) == 1
    assert "exists already" in capsys.readouterr().err
    assert main([*arguments, "--force", "--elites"]) == 0
    assert (
        capsys.readouterr()
        .out.strip()
        .endswith("export-elites.jsonl: " + f"{len(run.archive)} elites")
    )


def test_a_damaged_journal_is_one_line(make_run, capsys):
    run = make_run()
    (run.folder / "journal.db").write_bytes(b"not a database, but long enough to be one" * 99)
    for command in (["report"], ["export", "--format", "jsonl"]):
        assert main([*command, str(run.folder)]) == 1
        err = capsys.readouterr().err
        assert err.startswith("elm: error: ") and "journal.db" in err and err.count("\n") == 1


def test_a_run_folder_that_cannot_be_written_is_one_line(make_run, capsys):
    run = make_run()
    (run.folder / "report.html.part").mkdir()  # stands for any reason; root may write anywhere
    assert main(["report", str(run.folder)]) == 1
    err = capsys.readouterr().err
    assert err.startswith("elm: error: ") and err.count("\n") == 1


def shell(*arguments: str, **options) -> subprocess.Popen[str]:
    root = str(Path(__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-m", "elm.cli", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([root, HERE])},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def test_version_is_said_in_a_fresh_process():
    process = shell("--version")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "") and out.startswith("elm ")


def test_interrupted_export_leaves_nothing_and_no_traceback(make_run):
    run = make_run(blocks=2_000)
    process = shell("export", str(run.folder), "--format", "dir")
    while process.poll() is None and not list(run.folder.glob(".export*/00*")):
        pass
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "elm: interrupted\n")
    assert not [p for p in run.folder.iterdir() if "export" in p.name]
