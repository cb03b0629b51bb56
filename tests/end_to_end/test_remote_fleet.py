"""Searches on servers of other networks: some leave, some die; the archive is the same."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest
from command import Command
from fleet_world import Server, networks_or_skip

pytestmark = pytest.mark.slow

SEARCH = (
    "environment=string",
    "model=none",
    "variation=syntax_tree",
    "budget.evaluations=1500",
    "seed=1",
    "report=false",
)


def events(elm: Command, name: str) -> list[str]:
    db = sqlite3.connect(f"{(elm.runs / name / 'journal.db').as_uri()}?mode=ro", uri=True)
    try:
        return [message for (message,) in db.execute("SELECT message FROM events ORDER BY rowid")]
    finally:
        db.close()


def wait_for_event(elm: Command, name: str, text: str, seconds: float = 60.0) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for message in events(elm, name):
            if text in message:
                return message
        time.sleep(0.1)
    raise AssertionError(f"no event with {text!r} in {events(elm, name)}")


def test_one_server_is_drained_one_is_killed(elm: Command, tmp_path: Path):
    elm(*SEARCH, "run_name=undisturbed")
    wanted = elm.summary("undisturbed")["archive_sha256"]
    networks = networks_or_skip(2)
    first, second = (
        Server(tmp_path, name, network)
        for name, network in zip(("north", "south"), networks, strict=True)
    )
    try:
        first.start()
        second.start()
        run = elm.start(
            *SEARCH,
            "run_name=remote",
            "dispatch.slots=0",
            f"dispatch.servers=[{first.url},{second.url}]",
            f"dispatch.token_file={first.token_file}",
            "dispatch.patience=4",
        )
        elm.when("remote", 300, lambda: first.ask("POST", "/v1/drain", {}))
        assert first.process is not None
        assert first.process.wait(60) == 0, "a drained server ends by itself"
        first.process = None
        elm.when("remote", 800, second.kill)
        wait_for_event(elm, "remote", "no sandbox is up")
        second.start()
        _, err = run.communicate(timeout=600)
        assert run.returncode == 0, err
        told = events(elm, "remote")
        summary = elm.summary("remote")
    finally:
        for server in (first, second):
            server.close()
        for network in networks:
            network.close()
    assert summary["archive_sha256"] == wanted
    assert summary["evaluations"] == 1500
    assert any("north left" in message for message in told), told
    assert any("south lost" in message for message in told), told
    assert not any("poison" in message for message in told)
