"""gunicorn around a node: one worker process, which its arbiter starts again if it dies.

The first SIGTERM or SIGINT drains: the worker goes on answering until nothing is left to do. A
second one stops now.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from flask import Flask
from gunicorn import util
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

from sandbox import log
from sandbox.node import Node

STOP_SECONDS = 15.0  # for slots and connections to close, before the worker is killed
ANSWER_SECONDS = 5.0  # for answers on their way, after the drain
SILENT_SECONDS = 60  # of a worker's main thread, before it counts as stuck
MakeApp = Callable[[Callable[[], None]], tuple[Node, Flask]]


class Served(BaseApplication):
    """The application as gunicorn loads it: node and slots are made in the worker process.

    Args:
        listening: descriptor of a socket that listens.
        threads: requests that are answered at one time.
        log_format: one of `log.FORMATS`.
        make: makes node and application; is given what `POST /v1/drain` calls.
    """

    def __init__(self, listening: int, threads: int, log_format: str, make: MakeApp) -> None:
        self.node: Node | None = None
        self.log_format = log_format
        self._listening, self._threads, self._make = listening, threads, make
        super().__init__()

    def load_config(self) -> None:
        """Settings of gunicorn."""
        settings: dict[str, Any] = {
            "bind": f"fd://{self._listening}",
            "workers": 1,
            "threads": self._threads,
            "worker_class": _Worker,
            "logger_class": _logger(self.log_format),
            "timeout": SILENT_SECONDS,
            "graceful_timeout": int(ANSWER_SECONDS),
            "preload_app": False,
            "control_socket_disable": True,  # newer versions open one that nobody here needs
            "proc_name": "sandbox-server",
            "worker_exit": _close_node,
        }
        for name, value in settings.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        """In the worker process."""
        self.node, app = self._make(_drain_all)
        return app

    def run(self) -> None:
        """Serves; ends with SystemExit."""
        _Arbiter(self).run()


def _drain_all() -> None:
    """Asks the arbiter to let its worker drain, and then to end."""
    os.kill(os.getppid(), signal.SIGUSR2)


def _close_node(_: Arbiter, worker: _Worker) -> None:
    node = worker.app.node  # none in the arbiter's own process
    if node is not None:
        node.close()


class _Arbiter(Arbiter):
    _ending = False

    def handle_term(self) -> None:
        """Drains; the second time it stops now."""
        if self._ending:
            log.event("stopping_now")
            self.stop(False)
            raise StopIteration
        self.handle_usr2()

    handle_int = handle_term

    def handle_quit(self) -> None:
        """Stops now."""
        self._ending = True
        self.handle_term()

    def handle_usr2(self) -> None:
        """Lets the worker drain; it ends by itself."""
        if not self._ending:
            self._ending = True
            self.kill_workers(signal.SIGTERM)

    def _nothing(self) -> None:
        """One worker and one configuration: there is nothing to reload or to add."""

    handle_hup = handle_ttin = handle_ttou = handle_winch = _nothing

    def manage_workers(self) -> None:
        """Starts the worker again if it died; ends with it where the server is ending."""
        if not self._ending:
            super().manage_workers()
        elif not self.WORKERS:
            raise StopIteration

    def stop(self, graceful: bool = True) -> None:
        """Stops the worker; what its node holds is closed by itself."""
        self.cfg.set("graceful_timeout", int(STOP_SECONDS))
        super().stop(graceful)


class _Worker(ThreadWorker):
    def init_process(self) -> None:
        """Errors that gunicorn answers by itself are JSON as well."""
        util.write_error = _write_error
        super().init_process()

    def init_signals(self) -> None:
        """A Ctrl-C reaches the arbiter as well, and that alone decides."""
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Drains, and goes on answering meanwhile."""
        node = self.app.node
        if node is None:
            super().handle_exit(sig, frame)
        else:  # a handler must take no lock that the thread it interrupts may hold
            drain = threading.Thread(target=node.drain, args=(self._drained,), daemon=True)
            drain.start()

    def _drained(self) -> None:
        super().handle_exit(signal.SIGTERM, None)


def _write_error(client: Any, status: int, reason: str, message: str) -> None:
    code = "internal" if status == 500 else "bad_http"
    body = json.dumps({"code": code, "message": message or reason})
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    util.write_nonblock(client, (head + body).encode("latin-1", "replace"))


def _logger(form: str) -> type[Logger]:
    class _Logger(Logger):
        def setup(self, cfg: Any) -> None:
            """gunicorn's own words go where ours go. Requests are logged by the application."""
            super().setup(cfg)
            self.error_log.handlers = [log.handler(form)]
            self.error_log.propagate = False

    return _Logger
