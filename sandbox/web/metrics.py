"""Counters and gauges of a server, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric

from sandbox.node import Node
from sandbox.protocol import Evaluation

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)


disable_created_metrics()  # a second line per counter that nobody here reads


class Metrics:
    """What one server counts; a `node.Observer`. Has a registry of its own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._evaluations = Counter(
            "sandbox_evaluations",
            "Programs executed, by status and by the way they came in (fleet or http).",
            ("status", "way"),
            registry=registry,
        )
        self._wall = Histogram(
            "sandbox_evaluation_wall_seconds",
            "Wall-clock time of one program.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._busy = Gauge("sandbox_busy", "Programs executed now.", registry=registry)
        self._restarts = Counter(
            "sandbox_slot_restarts", "Slots that lost their zygote or judge.", registry=registry
        )
        self._refused = Counter(
            "sandbox_auth_failures", "Requests without the right token.", registry=registry
        )
        self._requests = Counter(
            "sandbox_http_requests",
            "HTTP requests by route and status code.",
            ("route", "method", "code"),
            registry=registry,
        )

    def begun(self) -> None:
        """A program starts."""
        self._busy.inc()

    def ended(self, way: str, evaluation: Evaluation) -> None:
        """A program has ended."""
        self._busy.dec()
        self._evaluations.labels(str(evaluation.status), way).inc()
        self._wall.observe(evaluation.wall_seconds)

    def restarted(self) -> None:
        """A slot had to be started again."""
        self._restarts.inc()

    def refused(self) -> None:
        """Somebody came without the right token."""
        self._refused.inc()

    def requested(self, route: str, method: str, code: int) -> None:
        """A request has been answered. `route` is a pattern, never what a client made up."""
        self._requests.labels(route, method, str(code)).inc()

    def watch(self, node: Node) -> None:
        """Reads the state of a node whenever somebody asks."""
        self._registry.register(_State(node))

    def page(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)


class _State:
    """Gauges that are read from the node itself."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def collect(self) -> Iterator[Metric]:
        node = self._node
        for name, text, value in (
            ("sandbox_slots", "Programs that may be executed at one time.", node.slots),
            ("sandbox_queue", "Evaluations asked for over HTTP and not ended.", node.desk.open),
            ("sandbox_runs", "Runs that the server works for.", node.serving),
            ("sandbox_draining", "1 while the server is finishing.", int(node.draining)),
        ):
            yield GaugeMetricFamily(name, text, value=value)
        level = GaugeMetricFamily("sandbox_level", "The jail level in force.", labels=("level",))
        level.add_metric((node.level,), 1)
        yield level
