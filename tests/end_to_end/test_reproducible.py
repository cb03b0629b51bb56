"""The same seed gives the same archive, whatever happens on the way."""

import random
import signal
import time
from pathlib import Path

import pytest
from command import Command, descendants, kill

WALKERS = (
    "environment=sodarace",
    "model=none",
    "variation=syntax_tree",
    "budget.evaluations=300",
    "seed=1",
    "report=false",
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    elm = Command(tmp_path_factory.mktemp("undisturbed"))
    elm(*WALKERS, "run_name=one", "dispatch.slots=1")
    return elm.summary("one")


def test_the_run_leaves_what_it_promises(undisturbed):
    assert undisturbed["evaluations"] == 300
    assert undisturbed["ending"] == "budget.evaluations"
    assert undisturbed["reproducible"] is True and undisturbed["resumed"] == 0
    assert undisturbed["cells_by_children"] > 10


def test_two_slots(elm, undisturbed):
    elm(*WALKERS, "run_name=two", "dispatch.slots=2")
    assert elm.summary("two")["archive_sha256"] == undisturbed["archive_sha256"]


def test_another_seed_gives_another_archive(elm, undisturbed):
    elm(*WALKERS, "run_name=other", "seed=2")
    assert elm.summary("other")["archive_sha256"] != undisturbed["archive_sha256"]


def test_killed_and_resumed_three_times(elm, undisturbed):
    for at_least in (20, 120, 220):
        resume = ["resume=true"] if (elm.runs / "cut").exists() else []
        run = elm.start(*WALKERS, "run_name=cut", *resume)
        elm.when("cut", at_least, lambda run=run: run.kill())
        assert run.wait(10) == -signal.SIGKILL
        run.communicate()
    elm(*WALKERS, "run_name=cut", "resume=true")
    summary = elm.summary("cut")
    assert summary["archive_sha256"] == undisturbed["archive_sha256"]
    assert summary["evaluations"] == 300 and summary["resumed"] == 3


def test_processes_of_the_sandbox_killed_half_way(elm, undisturbed):
    run = elm.start(*WALKERS, "run_name=hurt", "dispatch.slots=2")
    rng = random.Random(0)
    for at_least in (50, 100, 150, 200):
        elm.when("hurt", at_least, lambda: None)
        below = descendants(run.pid)
        assert below, "the run executes programs in processes of its own"
        kill(rng.choice(below)[0])
    _, err = run.communicate(timeout=600)
    assert run.returncode == 0, err
    assert elm.summary("hurt")["archive_sha256"] == undisturbed["archive_sha256"]


def test_nothing_outlives_a_run_that_is_killed(elm):
    run = elm.start(*WALKERS, "run_name=gone")
    below = []
    elm.when("gone", 50, lambda: below.extend(descendants(run.pid)))
    run.kill()
    run.communicate()
    assert below
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        alive = [pid for pid, line in below if _is(pid, line)]
        if not alive:
            return
        time.sleep(0.05)
    raise AssertionError(f"still there: {alive}")


def _is(pid, line):
    try:
        now = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
        return bool(line) and now.decode(errors="replace") == line
    except OSError:
        return False


def test_ctrl_c_ends_the_run_cleanly_and_it_resumes(elm, undisturbed):
    run = elm.start(*WALKERS, "run_name=stop")
    elm.when("stop", 60, lambda: run.send_signal(signal.SIGINT))
    _, err = run.communicate(timeout=600)
    assert run.returncode == 0, err
    summary = elm.summary("stop")
    assert summary["ending"] == "interrupted" and 60 <= summary["evaluations"] < 300
    elm(*WALKERS, "run_name=stop", "resume=true")
    assert elm.summary("stop")["archive_sha256"] == undisturbed["archive_sha256"]
