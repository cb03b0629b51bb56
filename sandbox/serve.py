"""`python -m sandbox serve`: offers this machine's slots to runs, and to anybody by HTTP."""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox import log
from sandbox.jail import LEVELS
from sandbox.keys import KeyPair, KeyTrouble, keep, public_key
from sandbox.node import Node, find_level
from sandbox.slot import SandboxError
from sandbox.web.bearer import TokenTrouble, keep_token
from sandbox.web.evaluating import Grant

if TYPE_CHECKING:
    from flask import Flask

SPARE_THREADS = 8  # that answer while all evaluations wait
SHORTEST_QUEUE = 16


class ServeError(Exception):
    """The server does not start; one line names what is wrong and what to do."""


@dataclass(frozen=True)
class _Plan:
    """Everything that was found out before anything is started."""

    name: str
    slots: int
    level: str
    keys: KeyPair
    runs: int
    forget: float
    joins: tuple[tuple[str, str], ...]
    token: str = field(repr=False)
    max_body: int
    grant: Grant

    @property
    def most_open(self) -> int:
        """Evaluations by HTTP that may be open at one time."""
        return max(SHORTEST_QUEUE, 4 * self.slots)

    def node(self, observer: Any = None) -> Node:
        """The node, at work."""
        node = Node(
            self.name,
            self.slots,
            self.level,
            self.keys,
            runs=self.runs,
            forget=self.forget,
            most_open=self.most_open,
            observer=observer,
        )
        for address, key in self.joins:
            node.join(address, key)
        return node


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="to listen at for HTTP (default 127.0.0.1)")
    add("--port", type=int, default=8700, help="default 8700; 0 takes any free one")
    add("--slots", default="auto", help="programs executed at one time (default auto: cores)")
    add("--level", choices=("auto", *LEVELS), default="auto", help="jail; L1 has to be asked for")
    add("--node", default=socket.gethostname(), help="name given in results (default host name)")
    add("--token-file", type=Path, metavar="PATH", help="opens HTTP; made if it does not exist")
    add("--keys", type=Path, metavar="FOLDER", help="keeps the server's key pair; else fresh ones")
    add("--join", action="append", default=[], metavar="tcp://HOST:PORT", help="a run to work for")
    add(
        "--run-key",
        action="append",
        default=[],
        metavar="KEY_OR_FILE",
        help="public key of the run to join (--run-key=KEY: some begin with a dash); once for "
        "all, or once for each --join",
    )
    add("--no-http", action="store_true", help="with --join: listen nowhere")
    add("--runs", type=int, default=8, help="that may be attached at one time (default 8)")
    add(
        "--forget", type=float, default=600.0, help="seconds of silence that end a run's attachment"
    )
    add("--max-body", type=int, default=8_000_000, help="bytes of one request (default 8000000)")
    add("--max-memory-mb", type=int, default=4096, help="of one program by HTTP (default 4096)")
    add("--max-seconds", type=float, default=300.0, help="of one program by HTTP (default 300)")
    add("--log", choices=log.FORMATS, default="json", help="on stderr (default json)")


def main(arguments: argparse.Namespace) -> int:
    """Serve until told to end: 0 after a drain, 2 if it could not start."""
    try:
        plan, http = _plan(arguments)
        log.configure(arguments.log)
        if not http:
            return _serve_runs_only(plan)
        listening = _listen(arguments.host, arguments.port)
    except ServeError as error:
        print(f"sandbox serve: {error}", file=sys.stderr)
        return 2
    where = _url(listening)
    _greet(plan, where, arguments.token_file)
    if not ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback:
        print(
            "it listens beyond this machine, without encryption of HTTP: let only machines that "
            "you trust reach it",
            flush=True,
        )
    return _serve_http(plan, listening, arguments.log)


# What was asked for -----------------------------------------------------------------------------


def _plan(arguments: argparse.Namespace) -> tuple[_Plan, bool]:
    """Checks every option; also whether HTTP is wanted. Raises ServeError."""
    joins = _joins(arguments.join, arguments.run_key)
    http = not arguments.no_http
    if arguments.no_http and not joins:
        raise ServeError("--no-http needs a run to work for: give --join tcp://HOST:PORT")
    if http and arguments.token_file is None:
        if not joins:
            raise ServeError("give --token-file PATH; a fresh token is put there if it is missing")
        http = False  # a server that only joins needs no door
    slots = _slots(arguments.slots)
    for name in ("runs", "forget", "max_body", "max_memory_mb", "max_seconds"):
        value = getattr(arguments, name)
        if not 0 < value < float("inf"):
            raise ServeError(f"--{name.replace('_', '-')} must be above 0, got {value:g}")
    if not 0 <= arguments.port <= 65535:
        raise ServeError(f"--port must be between 0 and 65535, got {arguments.port}")
    if not arguments.node or len(arguments.node) > 100 or not arguments.node.isprintable():
        raise ServeError(f"--node must be a short printable name, got {arguments.node[:100]!r}")
    if http:
        _need_http()
    try:
        keys = KeyPair.new() if arguments.keys is None else keep(arguments.keys, "server")
        token = keep_token(arguments.token_file)[0] if http else ""
    except (KeyTrouble, TokenTrouble) as error:
        raise ServeError(str(error)) from None
    try:
        level = find_level(arguments.level)
    except SandboxError as error:
        raise ServeError(f"{error}; see python -m sandbox doctor") from None
    seconds = arguments.max_seconds
    grant = Grant(cpu_seconds=seconds, wall_seconds=seconds, memory_mb=arguments.max_memory_mb)
    return _Plan(
        name=arguments.node,
        slots=slots,
        level=level,
        keys=keys,
        runs=arguments.runs,
        forget=arguments.forget,
        joins=joins,
        token=token,
        max_body=arguments.max_body,
        grant=grant,
    ), http


def _slots(text: str) -> int:
    if text == "auto":
        return len(os.sched_getaffinity(0))
    if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) < 1:
        raise ServeError(f"--slots must be auto or a number above 0, got {text!r}")
    return int(text)


def _joins(addresses: Sequence[str], keys: Sequence[str]) -> tuple[tuple[str, str], ...]:
    if not addresses:
        if keys:
            raise ServeError("--run-key goes with --join tcp://HOST:PORT")
        return ()
    if len(keys) not in (1, len(addresses)):
        raise ServeError(
            f"--join needs --run-key with the run's public key: one for all, or one for each of "
            f"{len(addresses)}, got {len(keys)}"
        )
    for address in addresses:
        if not re.fullmatch(r"tcp://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}", address):
            raise ServeError(f"--join must be tcp://HOST:PORT, got {address!r}")
    try:
        known = [public_key(key) for key in keys]
    except KeyTrouble as error:
        raise ServeError(f"--run-key: {error}") from None
    return tuple(zip(addresses, known * len(addresses) if len(known) == 1 else known, strict=False))


def _need_http() -> None:
    for module in ("flask", "gunicorn", "prometheus_client"):
        try:
            __import__(module)
        except ImportError:
            raise ServeError(
                f"HTTP needs {module}, which is not installed: pip install 'elm[server]'"
            ) from None


# Listening --------------------------------------------------------------------------------------


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Made here, since gunicorn would try a port in use five times."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=256)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ServeError(
            f"cannot listen at {host}:{port}: {reason}; choose another --port (0 takes any free "
            "one) or --host"
        ) from None


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _greet(plan: _Plan, where: str, token_file: Path | None) -> None:
    print(f"sandbox server {plan.name}: {where}, level {plan.level}, {plan.slots} slots")
    if token_file is not None:
        print(f"token in {token_file.absolute()}")
    print(f"public key {plan.keys.public}", flush=True)


# Serving ----------------------------------------------------------------------------------------


def _serve_http(plan: _Plan, listening: socket.socket, log_format: str) -> int:
    from sandbox.web.arbiter import Served

    def make(drain: Callable[[], None]) -> tuple[Node, Flask]:
        from sandbox.web.metrics import Metrics
        from sandbox.web.server import ServerSettings, make_app

        metrics = Metrics()
        node = plan.node(metrics)
        metrics.watch(node)
        settings = ServerSettings(plan.token, _version(), plan.max_body, plan.grant)

        def drain_node() -> None:
            node.drain()
            drain()

        return node, make_app(node, metrics, settings, drain_node)

    served = Served(listening.detach(), plan.most_open + SPARE_THREADS, log_format, make)
    try:
        served.run()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def _serve_runs_only(plan: _Plan) -> int:
    ended = threading.Event()
    signals = []

    def told(number: int, _: object) -> None:
        signals.append(number)
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    node = plan.node()
    _greet(plan, f"joins {', '.join(address for address, _ in plan.joins)}, no HTTP", None)
    try:
        while not ended.wait(1.0):
            continue
        node.drain()
        while not node.drained.wait(0.2) and len(signals) < 2:
            continue
    finally:
        node.close()
    return 0


def _version() -> str:
    try:
        return version("elm")
    except PackageNotFoundError:  # from a folder, without an installation
        return "unknown"
