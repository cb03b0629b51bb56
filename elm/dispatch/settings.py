"""Settings of a fleet, held against what they can be: one line that names the key otherwise."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from elm.dispatch.scaling import SlotRule

LEVELS = ("auto", "L3", "L2", "L1")


def slot_rule(low: int, high: int | None, available: int) -> SlotRule:
    """How many slots this machine is to have where nobody says it: all to begin with.

    Raises:
        ValueError: for limits that cannot be.
    """
    high = max(low, available) if high is None else high
    if low < 1:
        raise ValueError(f"dispatch.slots_low must be a whole number above 0, got {low}")
    if high < low:
        raise ValueError(
            f"dispatch.slots_high ({high}) must not be below dispatch.slots_low ({low})"
        )
    return SlotRule(low, high, start=min(high, max(low, available)))


def slot_count(slots: int | str) -> int:
    """How many slots this machine is to have.

    Raises:
        ValueError: if it is not a whole number that is not below 0.
    """
    if isinstance(slots, bool | str) or slots != int(slots) or slots < 0:
        raise ValueError(
            f"dispatch.slots must be a whole number, 0 for none here, or 'auto', got {slots}"
        )
    return int(slots)


def check_level(level: str) -> None:
    """Raises ValueError for a jail that is none."""
    if level not in LEVELS:
        raise ValueError(f"dispatch.level must be one of {', '.join(LEVELS)}, got {level!r}")


def check_max_tries(max_tries: int) -> None:
    """Raises ValueError for a number of tries that cannot be."""
    if isinstance(max_tries, bool) or not isinstance(max_tries, int) or max_tries < 1:
        raise ValueError(f"dispatch.max_tries must be a whole number above 0, got {max_tries}")


def check_times(heartbeat: float, patience: float, start_seconds: float) -> None:
    """Raises ValueError for seconds that cannot be."""
    for name, value in (
        ("heartbeat", heartbeat),
        ("patience", patience),
        ("start_seconds", start_seconds),
    ):
        if not value > 0:
            raise ValueError(f"dispatch.{name} must be above 0 seconds, got {value}")
    if patience < 2 * heartbeat:
        raise ValueError(
            f"dispatch.patience must be at least two heartbeats ({2 * heartbeat:g} s), "
            f"got {patience:g}"
        )


def server_urls(servers: Sequence[str]) -> list[str]:
    """URLs of sandbox servers without a slash at their end.

    Raises:
        ValueError: for one that is none, or is named twice.
    """
    found: list[str] = []
    for server in servers:
        url = _server_url(server)
        if url in found:
            raise ValueError(f"dispatch.servers: {url} is named twice")
        found.append(url)
    return found


def _server_url(server: str) -> str:
    wrong = f"dispatch.servers: expected http://host:port or https://host:port, got {server!r}"
    try:
        url = urlsplit(server)
        usable = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError as error:
        raise ValueError(f"{wrong} ({error})") from None
    if not usable or re.search(r"[\s\x00-\x1f\x7f]|[^\x00-\x7f]", server):
        raise ValueError(wrong)
    if url.username is not None or url.password is not None:
        # Not shown again: this line may end in a log.
        raise ValueError(
            "dispatch.servers: a URL holds a user or a password; the token of "
            "dispatch.token_file is what a server asks for"
        )
    if url.query or url.fragment:
        raise ValueError(f"{wrong} (nothing may follow '?' or '#')")
    return server.rstrip("/")


def read_token(token_file: str | None, servers: Sequence[str]) -> str:
    """The token that the servers ask for; "" where there are none.

    Raises:
        ValueError: if there is no such file, others may read it, or it holds no token.
    """
    if not servers:
        return ""
    if not token_file:
        raise ValueError(
            "dispatch.token_file: dispatch.servers needs the file with the servers' token"
        )
    path = Path(token_file).expanduser()
    try:
        with path.open(encoding="ascii") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            token = opened.read(10_000).strip()
    except OSError as error:
        raise ValueError(f"dispatch.token_file: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"dispatch.token_file: {path} holds something else than text") from None
    if mode & 0o077:
        raise ValueError(f"dispatch.token_file: others may read {path}; chmod 600 it")
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ValueError(f"dispatch.token_file: {path} must hold one token, and nothing else")
    return token


def listen_address(listen: str | None, keys: str | None, enrolled: str | None) -> str | None:
    """The address for servers that join by themselves, as ZeroMQ binds it; None for none.

    Raises:
        ValueError: if it is no address, or keys are missing without which nobody could join.
    """
    if listen is None:
        if enrolled is not None:
            raise ValueError(
                "dispatch.enrolled: nobody can join without dispatch.listen; set it, or leave "
                "this out"
            )
        return None
    match = re.fullmatch(r"tcp://([A-Za-z0-9.-]+|\*):(\d{1,5}|\*)", listen)
    if match is None or (match[2] != "*" and int(match[2]) > 65535):
        raise ValueError(
            "dispatch.listen must be tcp://host:port, with an address of this machine or * for "
            f"all of them, got {listen!r}"
        )
    if keys is None:
        raise ValueError(
            "dispatch.keys: dispatch.listen needs a folder that keeps the run's key pair, so that "
            "servers can be told its public key"
        )
    if enrolled is None:
        raise ValueError(
            "dispatch.enrolled: dispatch.listen needs a folder with the public keys (NAME.key) "
            "of the servers that may join"
        )
    if not Path(enrolled).expanduser().is_dir():
        raise ValueError(f"dispatch.enrolled: {enrolled} is no folder")
    port = "*" if match[2] in ("*", "0") else match[2]
    return f"tcp://{'*' if match[1] == '0.0.0.0' else match[1]}:{port}"


def check_sources(here: int, servers: Sequence[str], listen: str | None) -> None:
    """Raises ValueError where a fleet could have no slot at all."""
    if not here and not servers and listen is None:
        raise ValueError(
            "dispatch.slots: 0 leaves this run without a sandbox; give it slots here, or set "
            "dispatch.servers or dispatch.listen"
        )
