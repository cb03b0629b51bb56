"""Processes below another one, as they are counted and timed from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from sandbox import census

# A keeper with a child that has a child, one that is dead and not waited for, and one burner.
TREE = """
import os, sys, time
if os.fork() == 0:
    if os.fork() == 0: time.sleep(100)
    time.sleep(100)
if os.fork() == 0: os._exit(0)
if os.fork() == 0:
    while time.process_time() < 0.2: pass
    print(os.getpid(), flush=True)
    time.sleep(100)
sys.stdin.read()
"""


@pytest.fixture
def keeper():
    """The keeper's process id and the burner's, once it has burnt."""
    process = subprocess.Popen(
        [sys.executable, "-c", TREE], stdin=-1, stdout=-1, start_new_session=True
    )
    burner = int(process.stdout.readline())
    yield process.pid, burner
    os.killpg(process.pid, 9)
    process.communicate()


def test_everything_below_is_found(keeper):
    root, burner = keeper
    deadline = time.monotonic() + 30
    while (found := census.below(root)) and len(found) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(found) == 4
    assert sum(seen.parent == root for seen in found.values()) == 3
    assert sum(seen.alive for seen in found.values()) == 3
    assert found[burner].own_cpu >= 0.2


def test_a_kernel_without_lists_of_children_is_searched(keeper):
    root, _ = keeper
    assert sorted(census._search(root)) == sorted(census.children_of(root))


def test_a_family_is_timed_and_its_time_never_falls(keeper):
    root, burner = keeper
    first = min(census.children_of(root))
    family = census.Family(first)
    family.look()
    spent = family.cpu_seconds
    assert family.alive == 2  # the grandchild and the burner, not the dead one
    assert spent >= 0.2
    os.kill(burner, 9)
    deadline = time.monotonic() + 30
    while family.alive > 1 and time.monotonic() < deadline:
        family.look()
    assert family.alive == 1
    assert family.cpu_seconds >= spent


def test_nobody_is_below_who_is_gone():
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    assert census.look_at(process.pid) is None
    assert census.below(process.pid) == {}
    family = census.Family(process.pid)
    family.look()
    assert (family.alive, family.cpu_seconds) == (0, 0.0)
