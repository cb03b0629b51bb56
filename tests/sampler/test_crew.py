"""Sampler processes of this machine: as many as the work and the devices ask for."""

import os
import stat
import sys
import threading
import time

import pytest
from sampler_kit import Run, collect, parts, settings, wait_for

from elm.build import build_environment
from elm.sampler import LocalSampler, open_samplers
from elm.sampler.job import build, job_of
from elm.sampler.rank import SamplerError
from elm.sampler.settings import read

SMI = """#!{python}
import sys
assert "--query-gpu=index,name,memory.total,memory.free,utilization.gpu" in sys.argv
print("0, NVIDIA H200, 143771, 900, 99")
print("1, NVIDIA H200, 143771, 140000, 0")
"""


@pytest.fixture
def two_devices(tmp_path, monkeypatch):
    """A machine whose first device is full."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "nvidia-smi"
    command.write_text(SMI.format(python=sys.executable))
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def environment_of(pid):
    with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
        return dict(line.split(b"=", 1) for line in file.read().split(b"\0") if b"=" in line)


def local(run):
    with run.studio._hub.changed:
        return [s for s in run.studio._hub.desk.status() if s["name"].startswith("local-")]


@pytest.mark.slow
def test_one_more_comes_where_work_waits_and_goes_where_there_is_none(
    tmp_path, two_devices, monkeypatch
):
    quick = {"most": 2, "period": 1.5, "queue_factor": 5.0}
    run = Run(tmp_path, here=1, listen=None, keys=None, enrolled=None, **quick)
    try:
        # The run's own sampler alone would be at it for some multiples of the period.
        quickly = run.workshop.operator.propose
        slowly = lambda orders: (time.sleep(0.1), quickly(orders))[1]  # noqa: E731
        monkeypatch.setattr(run.workshop.operator, "propose", slowly)
        submitted = parts(run.settings, 150, orders=30)
        run.studio.submit(submitted)
        wait_for(lambda: run.heard_of("samplers 1 -> 2", "prompts queued", "device 1 136.7 GiB"))
        wait_for(lambda: local(run) or len(run.collect()) == 150)
        for each in local(run):
            assert environment_of(each["pid"])[b"CUDA_VISIBLE_DEVICES"] == b"1"
        wait_for(lambda: len(run.collect()) == 150)
        run.check(submitted)
        wait_for(lambda: run.heard_of("samplers 2 -> 1", "0 prompts queued"))
        wait_for(lambda: not local(run))
        assert run.heard_of("local-1 left: it was told to leave")
    finally:
        run.close()


def test_one_that_is_killed_is_started_again_and_nothing_is_lost(tmp_path, two_devices):
    run = Run(tmp_path, here=0, listen=None, keys=None, enrolled=None, most=2)
    try:
        wait_for(lambda: run.up(1))
        submitted = parts(run.settings, 40, orders=30)
        run.studio.submit(submitted)
        wait_for(lambda: len(run.collect()) > 3)
        os.kill(local(run)[0]["pid"], 9)
        wait_for(lambda: run.heard_of("sampler local-1 ended with SIGKILL"))
        wait_for(lambda: len(run.collect()) == 40)
        run.check(submitted)
        assert run.heard_of("sampler local-2 is started on device 1")
        pid = local(run)[0]["pid"]
    finally:
        run.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_run_that_asks_for_nobody_else_opens_nothing():
    run = settings()
    job = job_of(run, build_environment(run.environment))
    threads = threading.active_count()
    workshop = build(job)
    samplers = open_samplers(read({}), workshop.operator, 1, lambda: 0.0, job)
    assert isinstance(samplers, LocalSampler) and threading.active_count() == threads + 1
    submitted = parts(run, 3)
    samplers.submit(submitted)
    made = {}
    wait_for(lambda: collect(samplers, made) or len(made) == 3)
    samplers.close()


def test_a_run_with_nobody_at_all_is_refused():
    run = settings()
    job = job_of(run, build_environment(run.environment))
    with pytest.raises(SamplerError, match=r"samplers\.here: 0 leaves this run without a sampler"):
        open_samplers(read({"here": 0}), build(job).operator, 1, lambda: 0.0, job)
