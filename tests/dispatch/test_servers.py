"""Runs on sandbox servers: attached, gone, back; nothing is lost, and nobody is kept waiting."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from fake_server import TOKEN, FakeServer
from test_local_fleet import FAKE_WORKER, bundle, collect, tasks, wait_until

import elm.dispatch.servers
from elm.dispatch.base import FleetError
from elm.dispatch.fleet import Fleet
from elm.dispatch.router import Router
from sandbox.protocol import PROTOCOL_VERSION

MakeFleet = Callable[..., Fleet]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elm.dispatch.servers, "SHORTEST_PAUSE", 0.1)
    monkeypatch.setattr(elm.dispatch.servers, "LONGEST_PAUSE", 0.4)
    monkeypatch.setattr(elm.dispatch.servers, "_LOOK_SECONDS", 0.05)


@pytest.fixture
def servers() -> Iterator[list[FakeServer]]:
    found = [FakeServer("north"), FakeServer("south")]
    yield found
    for server in found:
        server.stop()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def make_fleet(token_file: Path) -> Iterator[MakeFleet]:
    made: list[Fleet] = []

    def make(*servers: FakeServer | str, **more: Any) -> Fleet:
        urls = [each if isinstance(each, str) else each.url for each in servers]
        settings = {"heartbeat": 0.2, "patience": 1.0, "start_seconds": 20.0, "slots": 0} | more
        made.append(Fleet(servers=urls, token_file=str(token_file), **settings))
        made[-1].command = FAKE_WORKER
        return made[-1]

    yield make
    for fleet in made:
        fleet.close()


def said(fleet: Fleet, so_far: list[str], text: str) -> bool:
    """Whether a notice with this text has come, now or before."""
    so_far += fleet.notices()
    return any(text in line for line in so_far)


def nodes(found: dict[int, Any]) -> set[str]:
    return {each.node for each in found.values()}


def test_two_servers_and_this_machine_share_the_work(
    servers: list[FakeServer], make_fleet: MakeFleet
) -> None:
    fleet = make_fleet(*servers, slots=2)
    fleet.start(bundle())
    assert fleet.slots == 6  # all of them are there when the run begins
    fleet.submit(tasks([f"sleep 0.01 {number}" for number in range(200)]))
    found = collect(fleet, 200)
    assert {number: each.fitness for number, each in found.items()} == {
        number: float(number) for number in range(200)
    }
    assert nodes(found) == {"local", "north", "south"}
    assert fleet.level == "L2"
    assert fleet.status()["counts"]["parcels"] == 3
    router = fleet._router
    assert isinstance(router, Router)
    assert all(door.startswith("tcp://127.0.0.1:") for door in router.bound)


def test_closing_lets_the_servers_go(servers: list[FakeServer], make_fleet: MakeFleet) -> None:
    fleet = make_fleet(*servers)
    fleet.start(bundle())
    fleet.close()
    for server in servers:
        assert any(line.startswith("DELETE /v1/attach/") for line in server.requests)
        assert not server.workers


def test_a_server_that_dies_and_returns_is_in_the_fleet_again(
    servers: list[FakeServer], make_fleet: MakeFleet
) -> None:
    north = servers[0]
    fleet = make_fleet(*servers)
    fleet.start(bundle())
    fleet.submit(tasks([f"sleep 0.02 {number}" for number in range(150)]))
    north.stop()
    found = collect(fleet, 150)
    assert all(found[number].fitness == number for number in range(150))
    told: list[str] = []
    wait_until(lambda: said(fleet, told, f"server {north.url} does not answer"))
    assert any("sandbox north lost (silent for 1 s)" in line for line in told)
    time.sleep(1.0)
    assert not said(fleet, told, "is back")
    assert sum(line.startswith(f"server {north.url} does not answer") for line in told) == 1
    north.start()
    wait_until(lambda: said(fleet, told, f"server {north.url} is back"))
    wait_until(lambda: fleet.slots == 4)
    fleet.submit(tasks([f"sleep 0.02 {number}" for number in range(60)], first=1000))
    assert nodes(collect(fleet, 60)) == {"north", "south"}


def test_a_drained_server_gives_back_at_once_and_nobody_is_blamed(
    servers: list[FakeServer], make_fleet: MakeFleet
) -> None:
    north = servers[0]
    fleet = make_fleet(*servers)
    fleet.start(bundle())
    fleet.submit(tasks([f"sleep 0.05 {number}" for number in range(60)]))
    north.drain()
    found = collect(fleet, 60)
    assert all(found[number].fitness == number for number in range(60))
    counts = fleet.status()["counts"]
    assert counts.get("workers_lost", 0) == counts.get("poison", 0) == 0
    told: list[str] = []
    wait_until(lambda: said(fleet, told, f"server {north.url} is draining; it is tried again"))
    assert "sandbox north left: drained" in told
    north.draining = False
    wait_until(lambda: fleet.slots == 4)


def test_without_any_server_the_run_waits_and_goes_on_when_one_returns(
    servers: list[FakeServer], make_fleet: MakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elm.dispatch.broker.NO_SANDBOX_AFTER", 0.3)
    fleet = make_fleet(*servers)
    fleet.start(bundle())
    for server in servers:
        server.stop()
    fleet.submit(tasks(["1", "2"]))
    told: list[str] = []
    wait_until(lambda: said(fleet, told, "no sandbox is up: "))
    (line,) = [line for line in told if line.startswith("no sandbox is up")]
    assert line.endswith("the run waits for one")
    assert fleet.results(0.3) == []
    servers[1].start()
    assert nodes(collect(fleet, 2)) == {"south"}
    assert said(fleet, told, "a sandbox is up again")


def test_a_server_that_restarts_unnoticed_is_attached_again(
    servers: list[FakeServer], make_fleet: MakeFleet
) -> None:
    fleet = make_fleet(servers[0])
    fleet.start(bundle())
    servers[0].stop()
    servers[0].start()  # with another key, and without any run
    fleet.submit(tasks(["5"]))
    assert collect(fleet, 1)[0].fitness == 5.0


def test_a_node_that_is_released_does_not_return(
    servers: list[FakeServer], make_fleet: MakeFleet
) -> None:
    fleet = make_fleet(*servers)
    fleet.start(bundle())
    assert fleet.slots == 4
    fleet.submit(tasks([f"sleep 0.02 {number}" for number in range(60)]))
    assert not fleet.release("west")
    assert fleet.release("north")
    assert len(collect(fleet, 60)) == 60
    wait_until(lambda: fleet.slots == 2)
    time.sleep(0.5)
    assert fleet.slots == 2
    assert fleet.status()["counts"].get("workers_lost", 0) == 0


def test_closing_is_quick_with_servers_that_never_answer(make_fleet: MakeFleet) -> None:
    silent = [socket.create_server(("127.0.0.1", 0)) for _ in range(8)]
    urls = [f"http://127.0.0.1:{each.getsockname()[1]}" for each in silent]
    fleet = make_fleet(*urls, slots=1)
    fleet.start(bundle())
    begun = time.monotonic()
    fleet.close()
    assert time.monotonic() - begun < 5  # not eight timeouts, one after the other
    for each in silent:
        each.close()


# What is wrong with a server is said in one line ------------------------------------------------


def test_without_a_single_slot_every_server_is_named(make_fleet: MakeFleet) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        dead = f"http://127.0.0.1:{free.getsockname()[1]}"
    weak = FakeServer("weak", level="L1")
    fleet = make_fleet(dead, weak, "http://no-such-host.invalid:8700", start_seconds=1.5)
    with pytest.raises(FleetError) as caught:
        fleet.start(bundle())
    weak.stop()
    message = str(caught.value)
    assert "\n" not in message
    assert f"server {dead} does not answer (Connection refused)" in message
    assert f"server {weak.url} offers level L1, but this run takes L2 and above" in message
    assert "server http://no-such-host.invalid:8700 does not answer (" in message


def test_a_bundle_that_loads_on_no_server_is_one_clear_line_at_once(
    servers: list[FakeServer], make_fleet: MakeFleet
) -> None:
    fleet = make_fleet(*servers, start_seconds=300.0)
    with pytest.raises(FleetError) as caught:
        fleet.start(bundle("broken"))
    assert "sandbox north cannot start: the module 'Box2D' is not installed" in str(caught.value)
    assert "sandbox south cannot start" in str(caught.value)


class Odd(FakeServer):
    """Answers everything in one way."""

    def __init__(self, status: int, body: Any) -> None:
        self.odd = status, body
        super().__init__("odd")

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        return self.odd


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (200, {"hello": 1}, "is no sandbox server: it answers something else"),
        (200, [[[1]]], "is no sandbox server: it answers something else"),
        (200, "x" * 2_000_000, "its answer is over 1000000 bytes"),
        (404, "<html>", "is no sandbox server: it answers 404 with application/json"),
        (500, {"code": "internal", "message": TOKEN}, "refuses: *** (internal)"),
        (503, {"code": "full", "message": "8 runs\nalready"}, "refuses: 8 runs already (full)"),
        (307, None, "redirects to another address, which is not followed"),
        (
            200,
            {
                "node": "n",
                "public_key": "short",
                "level": "L3",
                "slots": 1,
                "protocol": PROTOCOL_VERSION,
            },
            "gives a public key that is none",
        ),
        (
            200,
            {"node": "n", "public_key": "", "level": "L3", "slots": 1, "protocol": 99},
            f"speaks protocol 99, this run {PROTOCOL_VERSION}: install the same version",
        ),
    ],
)
def test_whatever_a_server_answers_the_run_goes_on(
    make_fleet: MakeFleet, status: int, body: Any, problem: str
) -> None:
    server = Odd(status, body)
    fleet = make_fleet(server, slots=1)
    fleet.start(bundle())
    told: list[str] = []
    wait_until(lambda: said(fleet, told, f"server {server.url} "))
    (line,) = [line for line in told if server.url in line]
    assert problem in line
    assert line.endswith("it is tried again, and the run goes on with the rest of its fleet")
    assert TOKEN not in line
    fleet.submit(tasks(["3"]))
    assert collect(fleet, 1)[0].fitness == 3.0
    server.stop()


class Redirecting(BaseHTTPRequestHandler):
    """Sends everybody on to `target`."""

    target = ""

    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", self.target + self.path)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_the_token_follows_no_redirect(servers: list[FakeServer], make_fleet: MakeFleet) -> None:
    handler = type("To", (Redirecting,), {"target": servers[1].url})
    with HTTPServer(("127.0.0.1", 0), handler) as redirecting:
        threading.Thread(target=redirecting.serve_forever, args=(0.02,), daemon=True).start()
        fleet = make_fleet(servers[0], f"http://127.0.0.1:{redirecting.server_address[1]}")
        fleet.start(bundle())
        told: list[str] = []
        wait_until(lambda: said(fleet, told, "redirects to another address"))
        assert servers[1].requests == []
        redirecting.shutdown()


def test_a_wrong_token_is_said_without_it(servers: list[FakeServer], make_fleet: MakeFleet) -> None:
    servers[0].token = "another"
    fleet = make_fleet(*servers)
    fleet.start(bundle())
    told: list[str] = []
    wait_until(lambda: said(fleet, told, "refuses the token of dispatch.token_file"))
    assert not any(TOKEN in line for line in told)
    servers[0].token = TOKEN
    wait_until(lambda: fleet.slots == 4)
