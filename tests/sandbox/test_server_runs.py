"""A real server that works for runs: several at once, drained, killed, joined."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Reply, Run, Server, alive, descendants, running, serving, wait_until
from slot_bench import make_bundle

from sandbox.keys import KeyPair, keep
from sandbox.protocol import Bundle, Limits, Status

LIMITS = Limits(cpu_seconds=2.0, wall_seconds=20.0)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return make_bundle(limits=LIMITS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), "--node", "north", "--runs", "2") as server:
        yield server


def answer(number: int) -> str:
    return f"def main(): return {number}"


def slow(number: int, seconds: float = 0.4) -> str:
    return f"import time\ndef main():\n    time.sleep({seconds})\n    return {number}"


def attached(server: Server, run: Run, name: str) -> Reply:
    reply = server.attach(run, name)
    assert reply.status == 200, reply
    return reply


def gone(server: Server) -> None:
    """Waits until it works for nobody."""
    wait_until(lambda: not server.ask("GET", "/v1/status").body["runs"], "the runs are gone")


def test_two_runs_share_the_slots_and_the_bundle(server: Server, bundle: Bundle, tmp_path: Path):
    with running(tmp_path, "one", bundle) as one, running(tmp_path, "two", bundle) as two:
        first = attached(server, one, "one").body
        one.submit(answer(0))
        assert one.collect(1)[0].fitness == 0.0
        second = attached(server, two, "two").body
        assert first["worker"] != second["worker"]
        assert first["public_key"] == second["public_key"] == server.public_key
        assert attached(server, one, "one").body == first, "asked again, it answers the same"
        numbers = [*range(1, 21)]
        for run in (one, two):
            run.submit(*map(answer, numbers))
        found_one, found_two = one.collect(20), two.collect(20)
        assert [found_one[n].fitness for n in sorted(found_one)] == numbers
        assert [found_two[n].fitness for n in sorted(found_two)] == numbers
        assert {each.node for each in found_two.values()} == {"north"}
        # The second run's worker finds the bundle on the shelf of its node.
        parcels = [run.status["counts"].get("parcels", 0) for run in (one, two)]
        assert parcels == [1, 0]
        told = server.ask("GET", "/v1/status").body["runs"]
        assert {each["run"]: each["state"] for each in told} == {"one": "ready", "two": "ready"}
        full = server.ask(
            "POST",
            "/v1/attach",
            {
                "run": "three",
                "address": one.address,
                "public_key": one.public_key,
                "protocol": first["protocol"],
            },
        )
        assert (full.status, full.code) == (503, "full")
        assert server.ask("DELETE", "/v1/attach/two").status == 204
        assert server.ask("DELETE", "/v1/attach/two").code == "unknown_run"
        one.submit(answer(7))
        assert one.collect(1)[21].fitness == 7.0
    gone(server)


def test_never_more_programs_at_one_time_than_slots(server: Server, bundle: Bundle, tmp_path: Path):
    busiest = [0.0]
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            page = server.ask("GET", "/metrics").body
            busy = [line for line in page.splitlines() if line.startswith("sandbox_busy ")]
            busiest[0] = max(busiest[0], float(busy[0].split()[1]))

    watcher = threading.Thread(target=watch)
    with running(tmp_path, "one", bundle) as one, running(tmp_path, "two", bundle) as two:
        attached(server, one, "one")
        attached(server, two, "two")
        watcher.start()
        try:
            for run in (one, two):
                run.submit(*(slow(number, 0.1) for number in range(8)))
            desk = server.result("import time\ntime.sleep(0.1)\nresult = 1")
            one.collect(8)
            two.collect(8)
        finally:
            stop.set()
            watcher.join()
        assert desk["artifact"] == 1
    assert busiest[0] == 2
    gone(server)


def test_a_run_that_ends_frees_its_place_and_may_come_back(
    server: Server, bundle: Bundle, tmp_path: Path
):
    with running(tmp_path, "one", bundle) as run:
        first = attached(server, run, "again").body["worker"]
        run.submit(answer(1))
        run.collect(1)
    gone(server)
    with running(tmp_path, "one", bundle) as run:
        second = attached(server, run, "again").body["worker"]
        assert second != first, "a new life has a new name"
        run.submit(answer(2))
        assert run.collect(1)[0].fitness == 2.0
    gone(server)


def test_a_run_that_refuses_the_key_is_logged_once(server: Server, bundle: Bundle, tmp_path: Path):
    def told() -> list[dict]:
        return [event for event in server.events if event["event"] == "no_connection"]

    with running(tmp_path, "one", bundle) as run:
        body = {
            "run": "stranger",
            "address": run.address,
            "public_key": KeyPair.new().public,  # not the run's
            "protocol": 2,
        }
        body["protocol"] = server.ask("GET", "/v1/status").body["protocol"]
        assert server.ask("POST", "/v1/attach", body).status == 200
        wait_until(told, "the log tells that the keys do not fit")
        time.sleep(1.5)  # several more handshakes
        assert len(told()) == 1
        assert run.address in told()[0]["reason"]
        trouble = server.ask("GET", "/v1/status").body["runs"][0]["trouble"]
        assert trouble == told()[0]["reason"]
    assert server.ask("DELETE", "/v1/attach/stranger").status == 204
    gone(server)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["http", "signal"])
def test_a_drain_loses_nothing(way: str, bundle: Bundle, tmp_path: Path):
    with serving(tmp_path) as server, running(tmp_path, "one", bundle) as run:
        attached(server, run, "one")
        run.submit(answer(0))
        run.collect(1)
        run.submit(*(slow(number) for number in range(12)))
        collected = run.collect_meanwhile(12)
        asked: list[Reply] = []
        waiting = threading.Thread(
            target=lambda: asked.append(server.evaluate("import time\ntime.sleep(1)\nresult = 5"))
        )
        waiting.start()
        wait_until(lambda: server.ask("GET", "/v1/status").body["desk"]["open"], "it is open")
        wait_until(
            lambda: server.ask("GET", "/v1/status").body["runs"][0]["busy"] > 0, "the run is busy"
        )
        below = descendants(server.process.pid)
        if way == "http":
            reply = server.ask("POST", "/v1/drain")
            assert (reply.status, reply.body) == (202, {"status": "draining"})
        else:
            server.process.send_signal(signal.SIGTERM)
            wait_until(
                lambda: server.ask("GET", "/healthz").status == 503, "its health says draining"
            )
        health = server.ask("GET", "/healthz")
        assert (health.status, health.body["status"]) == (503, "draining")
        assert server.evaluate("result = 1").code == "draining"
        waiting.join()
        assert (asked[0].status, asked[0].body["artifact"]) == (200, 5)
        assert server.process.wait(60) == 0
        wait_until(lambda: not any(map(alive, below)), "nothing stays behind")
        # What it had not begun is the fleet's again: another server brings it home.
        other = tmp_path / "other"
        other.mkdir()
        with serving(other) as next_server:
            attached(next_server, run, "one")
            found = collected()
        assert {each.fitness for each in found.values()} == set(map(float, range(12)))
        assert all(each.status is Status.OK for each in found.values())
        assert run.status["counts"].get("workers_lost", 0) == 0


@pytest.mark.slow
def test_a_second_signal_stops_now(bundle: Bundle, tmp_path: Path):
    with serving(tmp_path, "--level", "L2") as server, running(tmp_path, "one", bundle) as run:
        attached(server, run, "one")
        run.submit(*(slow(number, 15.0) for number in range(4)))
        asked: list[Reply] = []
        sleeper = "import time\ntime.sleep(15)"
        waiting = threading.Thread(target=lambda: asked.append(server.evaluate(sleeper)))
        waiting.start()
        wait_until(
            lambda: any(r["busy"] for r in server.ask("GET", "/v1/status").body["runs"]), "busy"
        )
        wait_until(lambda: server.ask("GET", "/v1/status").body["desk"]["slots"], "it is open")
        boxes = [box for pid in descendants(server.process.pid) for box in boxes_of(pid)]
        assert boxes, "slots of level L2 have a folder that programs write to"
        begun = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        wait_until(lambda: "draining" in server.log, "the drain begins")
        assert server.end(signal.SIGTERM) == 0
        assert time.monotonic() - begun < 60, "it did not wait for the programs"
        assert "stopping_now" in server.log
        waiting.join()
        assert asked[0].code == "draining", "who waits is told"
        assert not [box for box in boxes if box.exists()], "no folder stays behind"


def boxes_of(pid: int) -> list[Path]:
    """Folders of slots that a process works in."""
    try:
        folder = Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return []
    return [folder] if folder.name.startswith("elm-slot-") else []


@pytest.mark.slow
def test_a_killed_worker_comes_back_and_its_run_is_taken_up_again(bundle: Bundle, tmp_path: Path):
    with serving(tmp_path) as server, running(tmp_path, "one", bundle) as run:
        attached(server, run, "one")
        run.submit(answer(1))
        run.collect(1)
        old, below = server.worker, descendants(server.worker)
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: server.worker not in (0, old) and server.up(), "it is back")
        wait_until(lambda: not any(map(alive, below)), "the old slots are gone")
        assert server.result("result = 2")["artifact"] == 2
        assert server.ask("GET", "/v1/status").body["runs"] == []
        assert server.ask("GET", "/v1/status").body["public_key"] == server.public_key
        attached(server, run, "one")
        run.submit(answer(3))
        assert run.collect(1)[1].fitness == 3.0


@pytest.mark.slow
def test_the_arbiter_killed_takes_all_with_it(tmp_path: Path):
    with serving(tmp_path) as server:
        server.result("result = 1")
        below = descendants(server.process.pid)
        server.process.kill()
        server.process.wait(30)
        wait_until(lambda: not any(map(alive, below)), "worker and slots have ended")


@pytest.mark.slow
def test_a_server_joins_one_run_after_another(bundle: Bundle, tmp_path: Path):
    keys = KeyPair.new()
    enrolled = [keep(tmp_path / "keys", "server").public]
    run = Run(tmp_path, "one", bundle, keys=keys, enrolled=enrolled)
    address, port = run.address, run.address.rpartition(":")[2]
    options = ("--join", address, "--run-key", f"{tmp_path}/run.key", "--node", "joiner")
    options += ("--keys", str(tmp_path / "keys"))
    (tmp_path / "run.key").write_text(f'metadata\ncurve\n    public-key = "{keys.public}"\n')
    try:
        with serving(tmp_path, *options, http=False) as server:
            run.submit(answer(1))
            assert run.collect(1)[0].node == "joiner"
            run.close()
            wait_until(lambda: "run_ended" in server.log, "it has noticed")
            run = Run(tmp_path, "two", bundle, keys=keys, port=port, enrolled=enrolled)
            run.submit(*(slow(number) for number in range(6)))
            collected = run.collect_meanwhile(6)
            wait_until(lambda: run.status["counts"].get("results", 0) > 0, "it works")
            assert server.end() == 0, "SIGTERM drains"
            other = tmp_path / "other"
            other.mkdir()
            with serving(other) as next_server:
                attached(next_server, run, "two")
                assert {each.status for each in collected().values()} == {Status.OK}
            assert run.status["counts"].get("workers_lost", 0) == 0
            assert "no HTTP" in server.out
    finally:
        run.close()


def test_a_silent_run_is_forgotten(tmp_path: Path, bundle: Bundle):
    with serving(tmp_path, "--forget", "1") as server, running(tmp_path, "one", bundle) as run:
        body = {"run": "silent", "address": "tcp://127.0.0.1:9", "public_key": run.public_key}
        body |= {"protocol": server.ask("GET", "/v1/status").body["protocol"]}
        assert server.ask("POST", "/v1/attach", body).status == 200
        gone(server)
        assert "silent for 1 s" in server.log
