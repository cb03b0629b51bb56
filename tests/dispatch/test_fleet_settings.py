"""Settings of fleets beyond this machine: what cannot be is one line that names its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import elm.dispatch


def refused(**settings: Any) -> str:
    with pytest.raises(ValueError) as caught:
        elm.dispatch.build({"name": "local"} | settings)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("secret\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    "url",
    [
        "node1",
        "node1:8700",
        "ftp://node1:8700",
        "http://",
        "http://node1:99999",
        "http://node1:0",
        "http://node 1:8700",
        "http://node1:8700/\nX: y",
        "http://node1:8700/?token=x",
        "http://[::1:8700",
    ],
)
def test_a_url_that_is_none_is_shown(url: str, token_file: Path) -> None:
    message = refused(servers=[url], token_file=str(token_file))
    assert message.startswith(
        "dispatch.servers: expected http://host:port or https://host:port, got "
    )


def test_a_secret_in_a_url_is_not_shown(token_file: Path) -> None:
    message = refused(servers=["http://me:hush@node1:8700"], token_file=str(token_file))
    assert message.startswith("dispatch.servers: a URL holds a user or a password")
    assert "hush" not in message


def test_https_and_a_path_are_fine(token_file: Path) -> None:
    elm.dispatch.build(
        {
            "name": "local",
            "slots": 0,
            "servers": ["https://node1/sandbox/", "http://10.0.0.7:8700"],
            "token_file": str(token_file),
        }
    )


def test_a_server_is_named_once(token_file: Path) -> None:
    message = refused(servers=["http://a:1", "http://a:1/"], token_file=str(token_file))
    assert message == "dispatch.servers: http://a:1 is named twice"


def test_a_token_must_be_there_and_secret(tmp_path: Path, token_file: Path) -> None:
    servers = ["http://node1:8700"]
    assert refused(servers=servers).startswith("dispatch.token_file: dispatch.servers needs")
    missing = tmp_path / "missing"
    assert refused(servers=servers, token_file=str(missing)) == (
        f"dispatch.token_file: {missing}: No such file or directory"
    )
    token_file.chmod(0o640)
    assert refused(servers=servers, token_file=str(token_file)) == (
        f"dispatch.token_file: others may read {token_file}; chmod 600 it"
    )
    token_file.chmod(0o600)
    for content in ("", "two words", "two\nlines", "naïve"):
        token_file.write_text(content)
        message = refused(servers=servers, token_file=str(token_file))
        assert message.startswith(f"dispatch.token_file: {token_file} ")
        assert not content or content not in message


@pytest.mark.parametrize(
    "listen",
    ["5555", "tcp://*", "tcp://host:port", "tcp://host:70000", "ipc:///tmp/x", "http://a:1"],
)
def test_an_address_that_is_none_is_shown(listen: str, tmp_path: Path) -> None:
    message = refused(listen=listen, keys=str(tmp_path / "run"), enrolled=str(tmp_path))
    assert message.startswith("dispatch.listen must be tcp://host:port, ")
    assert repr(listen) in message


def test_listening_needs_keys(tmp_path: Path) -> None:
    listen = "tcp://127.0.0.1:*"
    assert refused(listen=listen).startswith("dispatch.keys: dispatch.listen needs")
    keys = str(tmp_path / "run")
    assert refused(listen=listen, keys=keys).startswith("dispatch.enrolled: dispatch.listen needs")
    missing = str(tmp_path / "missing")
    assert refused(listen=listen, keys=keys, enrolled=missing) == (
        f"dispatch.enrolled: {missing} is no folder"
    )
    (tmp_path / "node.key").write_text("no key\n")
    assert refused(listen=listen, keys=keys, enrolled=str(tmp_path)).startswith(
        "dispatch.enrolled: "
    )
    assert refused(enrolled=str(tmp_path)).startswith(
        "dispatch.enrolled: nobody can join without dispatch.listen"
    )


def test_a_fleet_without_any_slot_is_refused() -> None:
    assert refused(slots=0).startswith("dispatch.slots: 0 leaves this run without a sandbox")
