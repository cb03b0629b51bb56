"""Samplers in processes of their own: they join, leave, die, stall, and are turned away."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zmq
from sampler_kit import ROOT, Run, parts, settings, wait_for

from elm.sampler.link import Curve, Link
from elm.sampler.messages import Hello, encode
from sandbox.keys import KeyPair, keep


@pytest.fixture
def run(tmp_path):
    opened = Run(tmp_path)
    yield opened
    opened.close()


def test_they_join_and_make_what_this_process_would_have_made(run):
    submitted = parts(run.settings, 30)
    run.studio.submit(submitted)
    north, south = run.join("north"), run.join("south")
    wait_for(lambda: len(run.collect()) == 30)
    run.check(submitted)
    wait_for(lambda: run.heard_of("sampler south is up"))
    wait_for(lambda: run.heard_of("sampler north is up"))
    run.studio.close()
    for process in (north, south):
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
        assert "the run is over" in out and err == ""


@pytest.mark.slow
def test_one_leaves_and_another_dies_half_way(run):
    submitted = parts(run.settings, 80, orders=30)
    leaves, dies, stays = (run.join(name) for name in ("leaves", "dies", "stays"))
    wait_for(lambda: run.up(3))
    run.studio.submit(submitted)
    wait_for(lambda: len(run.collect()) > 5)
    leaves.terminate()
    dies.kill()
    out, err = leaves.communicate(timeout=600)
    assert leaves.returncode == 0 and "told to leave" in out, err
    wait_for(lambda: len(run.collect()) == 80)
    run.check(submitted)
    assert run.heard_of("sampler leaves left")
    wait_for(lambda: run.heard_of("sampler dies", "silent for 2 s"))
    makers = {made.sampler for made in run.made.values()}
    assert makers == {"leaves", "dies", "stays"}
    assert stays.poll() is None


@pytest.mark.slow
def test_one_that_stood_still_counts_no_more_and_comes_back(run):
    submitted = parts(run.settings, 60, orders=30)
    stands, goes_on = run.join("stands"), run.join("goes-on")
    wait_for(lambda: run.up(2))
    run.studio.submit(submitted)
    wait_for(lambda: len(run.collect()) > 5)
    os.kill(stands.pid, signal.SIGSTOP)
    wait_for(lambda: run.heard_of("sampler stands silent"))
    os.kill(stands.pid, signal.SIGCONT)
    wait_for(lambda: len(run.collect()) == 60)
    wait_for(lambda: run.up(2))
    run.check(submitted)
    more = parts(run.settings, 62)[60:]
    run.studio.submit(more)
    wait_for(lambda: len(run.collect()) == 62)
    assert goes_on.poll() is None


def test_a_key_that_is_not_enrolled_is_told_so_and_let_in_once_it_is(run):
    process = run.join("stranger", enrolled=False)
    wait_for(lambda: run.heard_of("refused a sampler with the key"))
    assert run.heard_of("put its public key as NAME.key into")
    source = run.folder / "stranger-unknown" / "sampler.key"
    (run.folder / "enrolled" / "late.key").write_text(source.read_text())
    wait_for(lambda: run.up(1))
    run.studio.close()
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert "refuses this sampler's key" in out


def test_the_wrong_key_of_the_run(run):
    keep(run.folder / "other", "run")
    process = run.join("north", "--run-key", str(run.folder / "other" / "run.key"))
    assert process.stdout is not None
    wait_for(lambda: "does not agree on keys" in process.stdout.readline())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0 and "told to leave" in out, err


def test_an_address_where_nobody_answers_is_named_and_tried_again(run):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = run.join("north", "--join", f"tcp://127.0.0.1:{port}")
    assert process.stdout is not None
    wait_for(lambda: f"nobody answers at tcp://127.0.0.1:{port}" in process.stdout.readline())
    assert process.poll() is None
    process.terminate()
    process.communicate(timeout=600)
    assert process.returncode == 0


def test_another_version_is_refused(run):
    submitted = parts(run.settings, 2)
    run.studio.submit(submitted)
    folder = run.enroll("old")
    own = keep(folder, "sampler")
    server = run.studio._keys.public
    link = Link(str(run.studio.listening), Curve(own, server))
    link.connect("old")
    heard = []

    def refused():
        link.send([Hello("old", 1, "old", 1, 1, "", "0.0.1")])
        heard.extend(link.collect(0.1))
        return any(getattr(message, "refused", False) for message in heard)

    try:
        wait_for(refused)
    finally:
        link.close()
    assert run.heard_of("sampler old is elm 0.0.1", "install the same version")


def test_frames_of_garbage_stop_nobody(run):
    submitted = parts(run.settings, 20)
    folder = run.enroll("rogue")
    own, server = keep(folder, "sampler"), run.studio._keys.public
    with zmq.Context() as context, context.socket(zmq.DEALER) as rogue:
        rogue.linger = 0
        rogue.curve_serverkey = server.encode()
        rogue.curve_publickey, rogue.curve_secretkey = own.public.encode(), own.secret.encode()
        rogue.connect(str(run.studio.listening))
        run.studio.submit(submitted)
        for frame in (b"", b"\xc1", os.urandom(1000), b"\x93" * 10_000, b"x" * 1_000_000):
            rogue.send_multipart([frame, frame])
        rogue.send(encode(Hello("rogue", 1, "rogue", 1, 1, "", _version())))
        run.join("north")
        wait_for(lambda: len(run.collect()) == 20)
        rogue.send(encode(Hello("rogue", 1, "rogue", 1, 1, "", _version())))
        for _ in range(4):
            rogue.send(b"\xc1" * 100)
        wait_for(lambda: run.heard_of("sampler rogue is sent away", "no messages"))
    run.check(submitted)


def _version():
    from elm.sampler.job import own_version

    return own_version()


def test_an_operator_that_cannot_be_built_here(tmp_path):
    """The run's environment lies in a folder of its machine that others do not have."""
    module = tmp_path / "only_there.py"
    module.write_text("from environments.string.environment import String as Only\n")
    sys.path.insert(0, str(tmp_path))
    run = None
    try:
        section = {"_target_": "only_there.Only", "name": "only", "target": "quality"}
        run = Run(tmp_path, settings(environment=section))
        process = run.join("north")
        _, err = process.communicate(timeout=600)
        assert process.returncode == 1
        (line,) = err.strip().splitlines()
        assert "environment._target_: cannot import 'only_there.Only'" in line
        wait_for(lambda: run.heard_of("sampler north cannot start", "only_there"))
    finally:
        sys.path.remove(str(tmp_path))
        if run is not None:
            run.close()


def test_a_run_that_comes_again_finds_its_samplers_again(tmp_path):
    """As after kill -9 and resume: the same keys, the same address, another life."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    first = Run(tmp_path, listen=address)
    process = first.join("north")
    wait_for(lambda: first.up(1))
    hub = first.studio._hub
    with hub.changed:
        hub.desk._peers.clear()  # it says goodbye to nobody
        hub.desk._samplers.clear()
    first.studio.close()
    second = Run(tmp_path, listen=address)
    try:
        submitted = parts(second.settings, 5)
        second.studio.submit(submitted)
        wait_for(lambda: len(second.collect()) == 5)
        second.check(submitted)
    finally:
        second.close()
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "--join tcp://HOST:PORT and --run-key KEY are needed"),
        (["--join", "host:1", "--run-key", "x"], "--join must be tcp://HOST:PORT, got 'host:1'"),
        (["--join", "tcp://host:1", "--run-key", "nothing.key"], "--run-key: 'nothing.key' is"),
        (
            ["--join", "tcp://host:1", f"--run-key={KeyPair.new().public}", "--name", "a\nb"],
            "--name must be a short printable name",
        ),
    ],
)
def test_options_that_are_wrong_are_one_line(options, says):
    done = subprocess.run(
        [sys.executable, "-m", "elm.sampler", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 2 and says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_process_of_this_machine_ends_with_its_run(tmp_path):
    """`kill -9` of the run: nothing of it may go on."""
    code = (
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-m', 'elm.sampler', '--connect', "
        f"'ipc://{tmp_path}/nobody', '--parent', str(__import__('os').getpid())])\n"
        "print(p.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(1.0)
    parent.kill()
    parent.communicate()

    def ended():
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return True
        stat = Path(f"/proc/{child}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] in "ZX"

    wait_for(ended)
