"""A real sandbox server as a process of its own, asked over HTTP, and runs for it to work for."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from elm.dispatch.broker import Broker
from elm.dispatch.guard import Guard
from elm.dispatch.router import Router
from sandbox.keys import KeyPair
from sandbox.protocol import PROTOCOL_VERSION, Bundle, Evaluation, Task

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 240.0  # for whatever is waited for; a busy machine takes its time


def wait_until(true: Any, what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    """Of all its threads; none if it, or a thread of it, ends while they are read."""
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def descendants(pid: int) -> list[int]:
    below = children(pid)
    return below + [each for child in below for each in descendants(child)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: Any  # decoded, where it is JSON

    @property
    def code(self) -> str:
        return self.body["code"]


class Server:
    """`python -m sandbox serve` on a free port; `url` is known once it listens."""

    def __init__(self, folder: Path, *options: str, http: bool = True) -> None:
        self.folder, self.token_file = folder, folder / "token"
        self._out, self._log = folder / "out", folder / "log"
        door = ("--port", "0", "--token-file", str(self.token_file)) if http else ()
        command = [sys.executable, "-m", "sandbox", "serve", "--slots", "2", *door, *options]
        environment = {**os.environ, "SECRET_OF_THE_SERVER": "never to be seen"}
        with self._out.open("wb") as out, self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=out, stderr=log, env=environment, start_new_session=True
            )
        wait_until(self._greeted, "the server greets")
        self.url = self.out.split("http://")[1].split(",")[0] if http else ""
        self.public_key = self.out.split("public key ")[1].split("\n")[0]

    def _greeted(self) -> bool:
        assert self.process.poll() is None, self.log
        return "public key" in self.out and self.out.endswith("\n")

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.splitlines()]

    @property
    def token(self) -> str:
        return self.token_file.read_text().strip()

    @property
    def worker(self) -> int:
        """The process that answers."""
        found = children(self.process.pid)
        return found[0] if found else 0

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """With the token and as JSON, where the headers do not say otherwise."""
        sent = {"Authorization": f"Bearer {self.token}"}
        if body is not None or raw is not None:
            sent["Content-Type"] = "application/json"
        sent |= headers or {}
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        parts = urlsplit(f"http://{self.url}")
        link = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS)
        try:
            sent = {name: value for name, value in sent.items() if value}
            link.request(method, path, data, sent)
            answer = link.getresponse()
            text = answer.read()
        finally:
            link.close()
        kind = answer.headers.get_content_type()
        found = json.loads(text) if text and kind == "application/json" else text.decode()
        return Reply(answer.status, dict(answer.headers), found)

    def evaluate(self, program: str, **more: Any) -> Reply:
        return self.ask("POST", "/v1/evaluate", {"files": {"program.py": program}, **more})

    def result(self, program: str, **more: Any) -> dict[str, Any]:
        reply = self.evaluate(program, **more)
        assert reply.status == 200, reply
        found: dict[str, Any] = reply.body
        return found

    def attach(self, run: Run, name: str) -> Reply:
        body = {
            "run": name,
            "address": run.address,
            "public_key": run.public_key,
            "protocol": PROTOCOL_VERSION,
        }
        run.guard.allow(self.public_key)  # first: its worker may be quick
        return self.ask("POST", "/v1/attach", body)

    def up(self) -> bool:
        try:
            return self.ask("GET", "/healthz").status == 200
        except OSError:
            return False

    def end(self, number: int = signal.SIGTERM) -> int:
        """Signals it, and checks that nothing stays behind; its exit status."""
        below = descendants(self.process.pid) if self.process.poll() is None else []
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(SECONDS)
        wait_until(lambda: not any(map(alive, below)), "its processes have ended")
        return status


@contextmanager
def serving(folder: Path, *options: str, http: bool = True) -> Iterator[Server]:
    server = Server(folder, *options, http=http)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.end()


class Run:
    """The dispatcher of one run, listening on loopback as it does on a network."""

    def __init__(
        self,
        folder: Path,
        name: str,
        bundle: Bundle,
        *,
        keys: KeyPair | None = None,
        port: str = "*",
        enrolled: Sequence[str] = (),
    ) -> None:
        self.bundle, self._next = bundle, 0
        self.guard = Guard(KeyPair.new() if keys is None else keys, enrolled)
        self.public_key = self.guard.own.public
        self.broker = Broker(name, bundle, heartbeat=0.2, patience=5.0)
        self._router = Router(
            self.broker,
            f"ipc://{folder}/{name}",
            guard=self.guard,
            listen=[f"tcp://127.0.0.1:{port}"],
        )
        self.address = self._router.bound[0]
        self._router.start()

    def submit(self, *programs: str) -> list[int]:
        first, self._next = self._next, self._next + len(programs)
        numbers = list(range(first, self._next))
        digest = self.bundle.digest
        self._router.submit(
            [
                Task(number, digest, {"program.py": text}, 0)
                for number, text in zip(numbers, programs, strict=True)
            ]
        )
        return numbers

    def collect_meanwhile(self, count: int) -> Callable[[], dict[int, Evaluation]]:
        """Begins to collect; what it returns waits for the end, and gives the results."""
        found: dict[int, Evaluation] = {}
        thread = threading.Thread(target=lambda: found.update(self.collect(count)))
        thread.start()

        def join() -> dict[int, Evaluation]:
            thread.join()
            assert len(found) == count, self.status
            return found

        return join

    def collect(self, count: int) -> dict[int, Evaluation]:
        """So many results, each acknowledged."""
        found: dict[int, Evaluation] = {}
        deadline = time.monotonic() + SECONDS
        while len(found) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count}: {self.status}"
            for evaluation in self._router.results(0.2):
                assert evaluation.candidate not in found
                found[evaluation.candidate] = evaluation
                self._router.acknowledge([evaluation.candidate])
        return found

    @property
    def status(self) -> dict[str, Any]:
        return self._router.status()

    def close(self) -> None:
        self._router.close()


@contextmanager
def running(folder: Path, name: str, bundle: Bundle, **more: Any) -> Iterator[Run]:
    run = Run(folder, name, bundle, **more)
    try:
        yield run
    finally:
        run.close()


def refused(*options: Sequence[str] | str) -> subprocess.CompletedProcess[str]:
    """A server that is not to start."""
    command = [sys.executable, "-m", "sandbox", "serve", *map(str, options)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
