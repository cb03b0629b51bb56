"""Holds the slots of this machine, and the nodes of a run, to what their rules want.

Rules decide (`elm.dispatch.scaling`), a broker measures and passes on; each decision becomes a
notice, which the run's journal keeps.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from elm.dispatch.broker import Broker
from elm.dispatch.nodes import CommandNodes, Nodes, NodeScaler
from elm.dispatch.scaling import NODE_PERIOD, Reading, SlotRule

PERIOD = 1.0  # seconds between two readings


class NodeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`dispatch.nodes`: how more machines are had, and how many."""

    start: str | None = None  # command that starts the node $ELM_NODE
    stop: str | None = None  # command that stops it
    executor: Literal["slurm", "local"] | None = None  # jobs through submitit instead
    folder: str = "slurm"  # for the jobs' scripts and printouts
    parameters: dict[str, Any] = {}  # of the executor, as submitit names them
    low: Annotated[int, msgspec.Meta(ge=0)] = 0
    high: Annotated[int, msgspec.Meta(ge=1)] = 1
    period: Annotated[float, msgspec.Meta(gt=0)] = NODE_PERIOD
    arrival_seconds: Annotated[float, msgspec.Meta(gt=0)] = 600.0

    def __post_init__(self) -> None:
        if (self.start is None) == (self.executor is None):
            raise ValueError("nodes: give either start (a command) or executor (slurm or local)")
        if self.low > self.high:
            raise ValueError(f"nodes: low ({self.low}) must not be above high ({self.high})")

    def scaler(self, join: str, run_key: str) -> NodeScaler:
        """What has these nodes, for a run that listens at `join` under this public key.

        Raises:
            FleetError: if there is no submitit, or no SLURM, where one is asked for.
            ValueError: for parameters that submitit does not know.
        """
        nodes: Nodes
        if self.start is not None:
            nodes = CommandNodes(self.start, self.stop, join=join, run_key=run_key)
        else:
            from elm.dispatch.slurm import SubmititNodes

            nodes = SubmititNodes(
                join=join,
                run_key=run_key,
                executor=str(self.executor),
                folder=self.folder,
                parameters=self.parameters,
            )
        rule = SlotRule(self.low, self.high, unit="node", period=self.period)
        return NodeScaler(nodes, rule, arrival_seconds=self.arrival_seconds)


class Autoscale:
    """Called by the dispatcher's thread in every round, with its lock held; never blocks.

    Args:
        slots: how many slots this machine's worker is to have; None leaves them alone.
        nodes: how many nodes the run is to have; None: nobody is asked for.
    """

    def __init__(self, slots: SlotRule | None = None, nodes: NodeScaler | None = None) -> None:
        self.slots, self.nodes = slots, nodes
        self._due = float("-inf")

    def tend(self, broker: Broker, local: str, now: float) -> None:
        """Reads and acts, once in a while.

        Args:
            broker: of the run.
            local: name of this machine's worker, "" for none.
        """
        if now < self._due:
            return
        self._due = now + PERIOD
        status = broker.status(now)
        if self.slots is not None:
            self._tend_slots(self.slots, broker, local, status, now)
        if self.nodes is not None:
            joined = {worker["node"] for worker in status["workers"]}
            load = max((worker["load"] for worker in status["workers"]), default=0.0)
            for line in self.nodes.observe(now, _reading(status, broker.slots, load), joined):
                broker.tell(line)

    def close(self) -> None:
        """Gives all nodes back."""
        if self.nodes is not None:
            self.nodes.close()

    def _tend_slots(
        self, rule: SlotRule, broker: Broker, local: str, status: dict[str, Any], now: float
    ) -> None:
        worker = next((each for each in status["workers"] if each["worker"] == local), None)
        if worker is None or not worker["slots"]:
            return  # it is being started, with as many as there may be
        decision = rule.observe(now, _reading(status, worker["slots"], worker["load"]))
        if decision is not None:
            broker.tell(decision.reason)
        if worker["wanted"] != rule.target:
            broker.resize(local, rule.target)


def _reading(status: dict[str, Any], slots: int, load: float) -> Reading:
    """A worker is given more than it executes: what is beyond its slots waits as well."""
    running = sum(min(worker["leases"], worker["slots"]) for worker in status["workers"])
    queued = status["queued"] + status["leased"] - running
    return Reading(queued=queued, running=running, slots=slots, load=load)
