"""An OpenAI-compatible server of the tests, which fails in every way that was asked for."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["Handler", Mapping[str, Any]], None]
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


class Endpoint(ThreadingHTTPServer):
    """Behaves as `plan` says, one entry for each request; the last one stays."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan: list[Behaviour] = [answer()]
        self.asked: list[dict[str, Any]] = []  # path, headers and body of each request
        self.at_once = self.most_at_once = 0
        self.over = threading.Event()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def next(self, path: str, headers: Mapping[str, str], body: Any) -> Behaviour:
        with self._lock:
            self.asked.append({"path": path, "headers": dict(headers), "body": body})
            return self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            yield
        finally:
            with self._lock:
                self.at_once -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients leave whenever they like."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.counted():
            self.server.next(self.path, self.headers, body)(self, body)

    def reply(self, status: int, body: bytes, headers: Mapping[str, str], missing: int = 0) -> None:
        """Sends an answer, whose length is said to be larger by `missing` bytes."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) + missing))
        self.end_headers()
        self.wfile.write(body)
        if missing:
            self.close_connection = True

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing."""


@contextmanager
def serving() -> Iterator[Endpoint]:
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


JSON = {"Content-Type": "application/json"}


def completion(text: Any, *, api: str = "chat", finish: Any = "stop", usage: Any = USAGE) -> Any:
    """The JSON of an answer, as the API has it."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
    if api == "chat":
        choice["message"] = {"role": "assistant", "content": text}
    else:
        choice["text"] = text
    kind = "chat.completion" if api == "chat" else "text_completion"
    found = {"id": "x", "object": kind, "created": 1, "model": "m", "choices": [choice]}
    return found | ({"usage": usage} if usage is not None else {})


def answer(text: Any = "fine", *, delay: float = 0.0, **more: Any) -> Behaviour:
    def behave(handler: Handler, request: Mapping[str, Any]) -> None:
        handler.server.over.wait(delay)
        api = "chat" if "messages" in request else "completions"
        said = text(request) if callable(text) else text
        handler.reply(200, json.dumps(completion(said, api=api, **more)).encode(), JSON)

    return behave


def raw(body: bytes, content_type: str = "application/json", missing: int = 0) -> Behaviour:
    """These very bytes, with status 200."""

    def behave(handler: Handler, request: Mapping[str, Any]) -> None:
        handler.reply(200, body, {"Content-Type": content_type}, missing)

    return behave


def as_json(body: Any) -> Behaviour:
    return raw(json.dumps(body).encode())


def status(number: int, said: Any = "no", **headers: str) -> Behaviour:
    """An error as OpenAI puts it; `headers` with "_" for "-"."""

    def behave(handler: Handler, request: Mapping[str, Any]) -> None:
        error = said if isinstance(said, dict) else {"message": said, "type": "t", "code": None}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.reply(number, json.dumps({"error": error}).encode(), JSON | named)

    return behave


def echo_key(number: int) -> Behaviour:
    """Repeats the key that came, as an error or, with 200, as an answer."""

    def behave(handler: Handler, request: Mapping[str, Any]) -> None:
        key = handler.headers["Authorization"]
        then = answer(f"x = {key!r}") if number == 200 else status(number, f"wrong: {key}")
        then(handler, request)

    return behave


def hang(seconds: float = 60.0) -> Behaviour:
    """Takes the request and says nothing."""

    def behave(handler: Handler, request: Mapping[str, Any]) -> None:
        handler.server.over.wait(seconds)
        handler.close_connection = True

    return behave


def drip(seconds: float = 60.0) -> Behaviour:
    """Sends one byte after the other, so that no single wait is long."""

    def behave(handler: Handler, request: Mapping[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not handler.server.over.wait(0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    return behave


def cut(handler: Handler, request: Mapping[str, Any]) -> None:
    """Closes the connection in the middle of the body."""
    handler.reply(200, json.dumps(completion("half"))[:40].encode(), JSON, missing=500)


def hang_up(handler: Handler, request: Mapping[str, Any]) -> None:
    """Closes it without a word."""
    handler.close_connection = True
