"""Where sandboxes on other machines reach this run."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterable

_SOMEWHERE = "192.0.2.1"  # reserved for documentation: stands for any host far away


def local_address(host: str) -> str:
    """The IPv4 address of this machine that packets to a host leave from. Sends nothing.

    Raises:
        OSError: if the host has no IPv4 address, or there is no route to it.
    """
    found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_DGRAM)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((found[0][4][0], 9))
        return str(probe.getsockname()[0])


def numeric(address: str) -> str:
    """An address to bind with its host as a number, as ZeroMQ wants it.

    Raises:
        OSError: if the host's name is unknown.
    """
    host, port = _split(address)
    if host == "*":
        return address
    found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    return f"tcp://{found[0][4][0]}:{port}"


def reachable(bound: str) -> str:
    """How others reach what is bound: a wildcard in it becomes an address of this machine."""
    host, port = _split(bound)
    if host not in ("*", "0.0.0.0"):
        return bound
    try:
        return f"tcp://{local_address(_SOMEWHERE)}:{port}"
    except OSError:
        return f"tcp://{socket.gethostname()}:{port}"  # no network at present


def _split(address: str) -> tuple[str, str]:
    match = re.fullmatch(r"tcp://(.+):([^:]+)", address)
    assert match is not None, address
    return match[1], match[2]


class Doors:
    """Addresses at which the run listens, one for each way out of this machine.

    May be used by several threads.

    Args:
        bind: listens at one more address, and returns it with its port.
        bound: addresses where the run listens already.
    """

    def __init__(self, bind: Callable[[str], str], bound: Iterable[str] = ()) -> None:
        self._bind = bind
        self._lock = threading.Lock()
        self._doors = dict(_split(address) for address in bound)

    def towards(self, host: str) -> str:
        """The address at which that host reaches this run; it is opened where there is none yet.

        A host on this machine gets an address that only this machine reaches.

        Raises:
            OSError: if there is no way to the host.
            FleetError: if the run cannot listen there.
        """
        own = local_address(host)
        with self._lock:
            if own not in self._doors:
                port = self._doors.get("*") or self._doors.get("0.0.0.0")
                self._doors[own] = port or _split(self._bind(f"tcp://{own}:*"))[1]
            return f"tcp://{own}:{self._doors[own]}"
