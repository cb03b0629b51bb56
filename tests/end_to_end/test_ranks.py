"""Ranks of a launcher, and samplers that join: the same archive, whoever made what."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from command import ROOT, Command, descendants, kill

if not (find_spec("torch") and find_spec("accelerate")):  # imported by the ranks alone
    pytest.skip("ranks need torch and accelerate", allow_module_level=True)

pytestmark = pytest.mark.timeout(900)

LAUNCHER = Path(sys.executable).with_name("accelerate")
# Word for word as the documentation has it.
LINE = [
    *("launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"),
    *("--mixed_precision", "no", "--dynamo_backend", "no"),
]
STUB = (
    "environment=sodarace",
    "model=stub",
    "variation=prompt",
    "budget.evaluations=40",
    "budget.model_calls=120",
    "batch_size=16",
    "lookahead=3",
    "seed=1",
    "report=false",
    "view=plain",
)
MODEL = (
    "environment=sodarace",
    "model=smollm2",
    "model.threads=1",
    "model.micro_batch=4",
    "model.max_new_tokens=12",
    "budget.model_calls=16",
    "batch_size=8",
    "lookahead=2",
    "seed=1",
    "report=false",
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def patiently(elm: Command, name: str, at_least: int, act: Callable[[], None]) -> None:
    """Acts when a run has come so far; ranks load torch first, which a busy machine draws out."""
    try:
        elm.when(name, at_least, act)
    except AssertionError:
        elm.when(name, at_least, act)


class Launched:
    """`accelerate launch ... run_elm.py ...`, with all its processes."""

    def __init__(self, elm: Command, *overrides: str) -> None:
        port = ["--main_process_port", str(free_port())]  # the default may be taken here
        self.process = subprocess.Popen(
            [str(LAUNCHER), *LINE, *port, "run_elm.py", f"run_dir={elm.runs}", *overrides],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "120"},
        )

    def rank(self, number: int) -> int:
        """Process id of a rank."""
        for pid, _ in descendants(self.process.pid):
            try:
                variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if f"RANK={number}".encode() in variables:
                return pid
        raise AssertionError(f"there is no rank {number}")

    def ends(self, seconds: float = 250.0) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out, err

    def close(self) -> None:
        below = descendants(self.process.pid)  # ranks have sessions of their own
        if self.process.poll() is None:
            self.process.kill()
        for pid, _ in below:
            with contextlib.suppress(ProcessLookupError):
                kill(pid)
        self.process.communicate()


@pytest.fixture
def launch(elm):
    launched = []

    def start(*overrides: str) -> Launched:
        launched.append(Launched(elm, *overrides))
        return launched[-1]

    yield start
    for each in launched:
        each.close()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    elm = Command(tmp_path_factory.mktemp("alone"))
    elm(*STUB, "run_name=alone")
    return elm.summary("alone")


@pytest.mark.slow
def test_two_ranks_with_a_language_model_give_the_archive_of_one(elm, launch):
    elm(*MODEL, "run_name=one")
    code, out, err = launch(*MODEL, "run_name=two").ends()
    assert code == 0, out + err
    one, two = elm.summary("one"), elm.summary("two")
    assert two["archive_sha256"] == one["archive_sha256"]
    assert two["model_calls"] == one["model_calls"] == 16
    assert sum(two["samplers"].values()) == sum(one["samplers"].values())
    assert set(two["samplers"]) <= {"rank 0", "rank 1"}
    assert two["reproducible"] is True


@pytest.mark.slow
def test_a_rank_makes_everything_where_rank_0_makes_nothing(elm, launch, alone):
    code, out, err = launch(*STUB, "run_name=far", "samplers.here=0").ends()
    assert code == 0, out + err
    summary = elm.summary("far")
    assert summary["archive_sha256"] == alone["archive_sha256"]
    assert set(summary["samplers"]) == {"rank 1"}
    assert out.count("best fitness") == 1, "rank 1 prints nothing"


@pytest.mark.slow
def test_a_rank_that_is_killed_takes_the_launch_down_and_the_run_resumes(elm, launch, alone):
    launched = launch(*STUB, "run_name=cut", "samplers.here=0")
    patiently(elm, "cut", 15, lambda: kill(launched.rank(1)))
    code, _, _ = launched.ends()
    assert code != 0
    elm(*STUB, "run_name=cut", "resume=true")
    assert elm.summary("cut")["archive_sha256"] == alone["archive_sha256"]


@pytest.mark.slow
def test_the_others_end_with_rank_0(elm, launch):
    launched = launch(*STUB, "run_name=gone", "samplers.here=0", "budget.evaluations=100000")
    patiently(elm, "gone", 10, lambda: None)
    other = launched.rank(1)
    kill(launched.rank(0))
    code, _, err = launched.ends(90)
    assert code != 0
    assert not Path(f"/proc/{other}").exists()
    assert re.search(r"rank 0 at tcp://127.0.0.1:\d+ is gone; so is this one", err), err


@pytest.mark.slow
def test_a_sampler_that_joined_is_killed_half_way(elm, alone, tmp_path):
    enrolled = tmp_path / "enrolled"
    enrolled.mkdir()
    keys = [f"samplers.keys={tmp_path / 'keys'}", f"samplers.enrolled={enrolled}"]
    port = free_port()
    run = elm.start(*STUB, "run_name=met", "samplers.here=0", *keys, "samplers.patience=3",
                    f"samplers.listen=tcp://127.0.0.1:{port}")  # fmt: skip
    joined = []
    try:
        while not (tmp_path / "keys" / "run.key").exists():
            assert run.poll() is None, run.communicate()
            time.sleep(0.1)
        for name in ("dies", "stays"):
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "sandbox",
                    "keys",
                    str(tmp_path / name),
                    "--name",
                    "sampler",
                ],
                check=True,
                capture_output=True,
                cwd=ROOT,
            )
            text = (tmp_path / name / "sampler.key").read_text()
            (enrolled / f"{name}.key").write_text(text)
            joined.append(
                subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "elm.sampler",
                        "--join",
                        f"tcp://127.0.0.1:{port}",
                        "--run-key",
                        str(tmp_path / "keys" / "run.key"),
                        "--keys",
                        str(tmp_path / name),
                        "--name",
                        name,
                    ],
                    cwd=ROOT,
                    stdout=subprocess.DEVNULL,
                )
            )
            if name == "dies":
                patiently(elm, "met", 12, joined[0].kill)
        _, err = run.communicate(timeout=600)
        assert run.returncode == 0, err
        summary = elm.summary("met")
        assert summary["archive_sha256"] == alone["archive_sha256"]
        assert set(summary["samplers"]) == {"dies", "stays"}
        assert joined[1].wait(30) == 0
    finally:
        for process in (run, *joined):
            if process.poll() is None:
                process.kill()
                process.wait()


@pytest.mark.slow
def test_ranks_with_other_settings_are_refused_in_one_line(elm):
    """Without a launcher's store: rank 0 keeps one itself."""
    port = free_port()
    ranks = []
    for number in range(2):
        variables = {
            "RANK": str(number),
            "LOCAL_RANK": str(number),
            "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        words = [sys.executable, "run_elm.py", f"run_dir={elm.runs}", "run_name=odd", *STUB]
        ranks.append(
            subprocess.Popen(
                [*words, f"seed={number}", "samplers.here=0"],
                cwd=ROOT,
                env={**os.environ, **variables},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    try:
        out, err = ranks[1].communicate(timeout=600)
        assert ranks[1].returncode == 1, out + err
        (line,) = err.strip().splitlines()
        assert "sampler rank 1 was started with other settings than this run" in line
        assert out == ""
    finally:
        for process in ranks:
            if process.poll() is None:
                process.kill()
            process.communicate()
