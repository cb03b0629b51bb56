"""`python -m sandbox run` and `doctor`, as an operator types them."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def sandbox(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "sandbox", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_run_prints_what_came_of_it(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("print('hello')\nresult = {'a': [1, 2.5]}\n")
    done = sandbox("run", str(program), "--cpu-seconds", "1.5")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert report["status"] == "ok"
    assert report["result"] == {"a": [1, 2.5]}
    assert report["output"] == "hello\n"
    assert report["level"] in ("L2", "L3")


def test_run_reports_a_failing_program(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("x = 1\nx / 0\n")
    done = sandbox("run", str(program), "--level", "L1")
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert report["status"] == "runtime_error"
    assert report["detail"] == "ZeroDivisionError: division by zero (line 2 of program.py)"
    assert report["level"] == "L1"


def test_mistakes_of_the_operator_are_one_line(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("result = 1\n")
    for arguments, message in (
        ((str(tmp_path / "absent.py"),), "absent.py"),
        ((str(program), "--memory-mb", "0"), "limits.memory_mb must be above 0, got 0"),
        ((str(program), "--preload", "no_such"), "needs no_such: pip install 'no_such'"),
    ):
        done = sandbox("run", *arguments)
        assert done.returncode == 2
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""


def test_doctor_tries_and_tells(levels):
    done = sandbox("doctor", "--json")
    report = json.loads(done.stdout)
    assert set(report["primitives"]) == {"handles", "landlock", "seccomp", "namespaces"}
    assert report["tables"][platform.machine()] == "in use here"
    other = {"x86_64": "aarch64", "aarch64": "x86_64"}[platform.machine()]
    assert "run on hardware" in report["tables"][other]
    for level in ("L1", "L2", "L3"):
        assert report["levels"][level]["starts"] == (level in levels)
    assert report["levels"]["L1"]["reached"]  # nothing there keeps a program from anything
    for level in set(levels) - {"L1"}:
        assert report["levels"][level]["reached"] == []
    assert report["level"] == max(levels)
    assert done.returncode == (0 if report["level"] >= "L2" else 1)


def test_doctor_prints_a_table():
    done = sandbox("doctor", "--require", "L1")
    assert done.returncode == 0
    assert "best level" in done.stdout
    assert "landlock" in done.stdout


def test_installed_among_other_packages_our_sources_stay_out_of_sight(tmp_path, levels):
    site = tmp_path / "site-packages"
    for package in ("sandbox", "environments"):
        shutil.copytree(ROOT / package, site / package)
    (site / "neighbour.py").write_text("")
    program = tmp_path / "program.py"
    program.write_text(
        "import neighbour\nresult = []\n"
        "for name in ('sandbox/slot.py', 'environments/base.py'):\n"
        f"    try: result.append(open({str(site)!r} + '/' + name).read(3))\n"
        "    except OSError as error: result.append(type(error).__name__)\n"
        "try: import environments.base\n"
        "except ImportError: result.append('hidden')\n"
    )
    for level in set(levels) - {"L1"}:
        command = [sys.executable, "-m", "sandbox", "run", str(program), "--level", level]
        environment = {"PYTHONPATH": str(site)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
        report = json.loads(done.stdout)
        why = "PermissionError" if level == "L2" else "FileNotFoundError"
        assert report["result"] == [why, why, "hidden"], report
