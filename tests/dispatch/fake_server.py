"""A sandbox server without sandboxes: its HTTP is what a run asks for, its slots execute nothing.

Its workers are real ones, on real sockets, with the slots of `fake_worker`.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fake_worker import FakeSlot

from sandbox.agent import Agent
from sandbox.keys import KeyPair
from sandbox.link import Curve, Link
from sandbox.protocol import PROTOCOL_VERSION
from sandbox.worker import Worker

TOKEN = "a-token-of-the-tests"


class FakeServer:
    """One server; `stop` and `start` again on the same port with new keys, as a restart does."""

    def __init__(self, node: str, slots: int = 2, *, level: str = "L2") -> None:
        self.node, self.slots, self.level = node, slots, level
        self.token = TOKEN
        self.protocol = PROTOCOL_VERSION
        self.draining = False
        self.requests: list[str] = []
        self.workers: dict[str, tuple[Worker, threading.Thread, str]] = {}
        self._port = 0
        self._http: ThreadingHTTPServer | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self.keys = KeyPair.new()
        self.draining = False
        server = self

        class Handler(_Handler):
            fake = server

        self._http = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._http.daemon_threads = True
        self._port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Ends it as a kill does: the run is told nothing."""
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None
        self.vanish()

    def vanish(self) -> None:
        """Lets the workers end without a word."""
        for worker, thread, _ in self.workers.values():
            # What it says from now on is lost.
            worker._link.send = lambda messages: None  # type: ignore[method-assign]
            with worker._changed:
                worker._agent.dismissed = True
            worker._link.wake()
            thread.join(10)
        self.workers.clear()

    def drain(self) -> None:
        self.draining = True
        for worker, _, _ in list(self.workers.values()):
            worker.terminate()

    def join(self, address: str, run_key: str) -> Worker:
        """Joins a run by itself."""
        return self._employ(f"joined {address}", address, run_key)[0]

    def attach(self, request: dict[str, Any]) -> dict[str, Any]:
        run = request["run"]
        known = self.workers.get(run)
        if known is None or not known[1].is_alive():
            known = self._employ(run, request["address"], request["public_key"])
        return {
            "node": self.node,
            "worker": known[2],
            "public_key": self.keys.public,
            "slots": self.slots,
            "level": self.level,
            "protocol": self.protocol,
        }

    def detach(self, run: str) -> bool:
        known = self.workers.pop(run, None)
        if known is not None:
            known[0].terminate()
        return known is not None

    def status(self) -> dict[str, Any]:
        return {
            "node": self.node,
            "public_key": self.keys.public,
            "level": self.level,
            "slots": self.slots,
            "protocol": self.protocol,
            "version": "0",
            "draining": self.draining,
            "runs": [],
            "desk": {},
        }

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Status and JSON; overridden by servers that misbehave."""
        if (method, path) == ("GET", "/v1/status"):
            return 200, self.status()
        if (method, path) == ("POST", "/v1/attach"):
            request = json.loads(body)
            if self.draining:
                return 503, {"code": "draining", "message": "this server is draining"}
            return 200, self.attach(request)
        if method == "DELETE" and path.startswith("/v1/attach/"):
            known = self.detach(path.rpartition("/")[2])
            return (204, None) if known else (404, {"code": "unknown_run", "message": "?"})
        return 404, {"code": "not_found", "message": f"no {path} here"}

    def make_slot(self, *arguments: Any) -> FakeSlot:
        return FakeSlot(*arguments)

    def _employ(self, run: str, address: str, run_key: str) -> tuple[Worker, threading.Thread, str]:
        name = f"{self.node}-{secrets.token_hex(4)}"
        agent = Agent(name, self.node, self.slots, pid=os.getpid(), prefetch=4)
        worker = Worker(Link(address, Curve(self.keys, run_key)), agent, self.make_slot)
        thread = threading.Thread(target=worker.run, daemon=True)
        self.workers[run] = worker, thread, name
        thread.start()
        return self.workers[run]


class _Handler(BaseHTTPRequestHandler):
    fake: FakeServer
    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.fake.requests.append(f"{self.command} {self.path}")
        if self.headers.get("Authorization") != f"Bearer {self.fake.token}":
            code, answer = 401, {"code": "unauthorized", "message": "a bearer token is missing"}
        else:
            code, answer = self.fake.answer(self.command, self.path, body)
        text = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = _handle

    def log_message(self, *_: Any) -> None:
        pass
