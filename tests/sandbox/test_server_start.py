"""How a server starts, or says in one line why it does not; and the command `keys`."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from served import ROOT, refused, serving

from sandbox.keys import KeyPair, checked
from sandbox.web.bearer import TokenTrouble, keep_token, problem

KEY = "-" + KeyPair.new().public[1:]  # one in 85 begins so, and would pass for an option


def test_a_port_in_use_is_one_line(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = refused("--port", str(port), "--token-file", str(tmp_path / "token"))
    assert done.returncode == 2
    assert f"cannot listen at 127.0.0.1:{port}: Address already in use" in done.stderr
    assert "--port" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "--token-file"),
        (("--no-http",), "--join"),
        (("--join", "tcp://a:1"), "--run-key"),
        (("--join", "here", f"--run-key={KEY}"), "tcp://HOST:PORT, got 'here'"),
        (("--join", "tcp://a:1", "--run-key", "short"), "--run-key: 'short'"),
        ((f"--run-key={KEY}",), "--join"),
        (("--token-file", "t", "--slots", "0"), "--slots"),
        (("--token-file", "t", "--slots", "many"), "--slots"),
        (("--token-file", "t", "--runs", "0"), "--runs must be above 0, got 0"),
        (("--token-file", "t", "--port", "70000"), "--port"),
        (("--token-file", "/proc/no/token"), "--token-file /proc/no/token"),
    ],
)
def test_mistakes_are_one_line(options: tuple[str, ...], words: str):
    done = refused(*options)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not Path(ROOT, "t").exists()


def test_it_starts_with_what_it_was_given(tmp_path: Path):
    options = ("--host", "0.0.0.0", "--node", "north", "--level", "L2", "--log", "text")
    with serving(tmp_path, *options, "--keys", str(tmp_path / "keys")) as server:
        status = server.ask("GET", "/v1/status").body
        assert (status["node"], status["level"]) == ("north", "L2")
        assert server.result("result = 1")["level"] == "L2"
        assert "listens beyond this machine" in server.out
        assert str(server.token_file) in server.out
        assert " info request method=" in server.log
        assert server.end() == 0
    with serving(tmp_path, "--keys", str(tmp_path / "keys")) as again:
        assert again.public_key == status["public_key"], "the pair was kept"
        assert "listens beyond" not in again.out


def test_a_token_file_that_others_may_read_is_refused(tmp_path: Path):
    path = tmp_path / "token"
    token, made = keep_token(path)
    assert made
    assert path.stat().st_mode & 0o777 == 0o600
    assert keep_token(path) == (token, False)
    path.chmod(0o640)
    with pytest.raises(TokenTrouble, match="chmod 600"):
        keep_token(path)
    path.chmod(0o600)
    for text in ("", "short", "t\u00f6ken" * 10):
        path.write_text(text)
        with pytest.raises(TokenTrouble, match="holds no token"):
            keep_token(path)


def test_a_header_is_right_or_told_what_is_wrong():
    assert problem("Bearer secret-secret-secret", "secret-secret-secret") == ""
    assert problem("bearer  secret-secret-secret", "secret-secret-secret") == ""
    assert "wrong" in problem("Bearer secret-secret-secre", "secret-secret-secret")
    assert "missing" in problem(None, "secret-secret-secret")


def test_the_keys_command_makes_a_pair_and_shows_its_public_half(tmp_path: Path):
    def keys(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sandbox", "keys", *options]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    folder = str(tmp_path / "keys")
    first, again, other = keys(folder), keys(folder), keys(folder, "--name", "north")
    assert checked(first.stdout.strip()) == again.stdout.strip() != other.stdout.strip()
    secret = Path(folder, "run.key_secret")
    assert secret.stat().st_mode & 0o777 == 0o600
    secret.chmod(0o644)
    bad = keys(folder)
    assert (bad.returncode, bad.stdout, bad.stderr.count("\n")) == (2, "", 1)
    assert "chmod 600" in bad.stderr
    assert keys(folder, "--name", "../x").returncode == 2
