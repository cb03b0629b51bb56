"""Where servers reach a run: on this machine by loopback, elsewhere by the way out to them."""

from __future__ import annotations

import socket

import pytest

from elm.dispatch.network import Doors, local_address, numeric, reachable


class Binder:
    """Binds nothing, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, address: str) -> str:
        self.asked.append(address)
        return address.replace("*", str(40_000 + len(self.asked)))


def test_servers_on_this_machine_open_one_door_that_only_this_machine_reaches() -> None:
    bind = Binder()
    doors = Doors(bind)
    assert doors.towards("127.0.0.1") == doors.towards("localhost") == "tcp://127.0.0.1:40001"
    assert bind.asked == ["tcp://127.0.0.1:*"]


def test_each_way_out_has_a_door_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = {"near": "10.0.0.1", "far": "192.0.2.9", "farther": "192.0.2.9"}
    monkeypatch.setattr("elm.dispatch.network.local_address", ways.__getitem__)
    doors = Doors(Binder())
    assert [doors.towards(host) for host in ways] == [
        "tcp://10.0.0.1:40001",
        "tcp://192.0.2.9:40002",
        "tcp://192.0.2.9:40002",
    ]


@pytest.mark.parametrize("bound", ["tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://127.0.0.1:5555"])
def test_a_door_that_is_open_already_is_used(bound: str) -> None:
    bind = Binder()
    assert Doors(bind, [bound]).towards("127.0.0.1") == "tcp://127.0.0.1:5555"
    assert bind.asked == []


def test_a_host_without_an_address_is_an_error() -> None:
    with pytest.raises(OSError):
        local_address("no-such-host.invalid")
    with pytest.raises(OSError):
        numeric("tcp://no-such-host.invalid:5555")


def test_addresses_to_bind_are_numbers_and_addresses_to_tell_are_none_of_all() -> None:
    assert numeric("tcp://localhost:5555") == "tcp://127.0.0.1:5555"
    assert numeric("tcp://*:5555") == "tcp://*:5555"
    assert reachable("tcp://10.0.0.1:5555") == "tcp://10.0.0.1:5555"
    told = reachable("tcp://0.0.0.0:5555")
    host = told.removeprefix("tcp://").removesuffix(":5555")
    assert host == socket.gethostname() or socket.inet_aton(host) != b"\0\0\0\0"
