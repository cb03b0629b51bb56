"""A worker whose slots execute nothing: what is left is the cost of the fleet itself.

python -m benchmarks.idle_worker tcp://host:port RUN_KEY < key_pair_as_json
"""

from __future__ import annotations

import json
import os
import sys

from sandbox.agent import Agent
from sandbox.keys import KeyPair
from sandbox.link import Curve, Link
from sandbox.protocol import Bundle, Evaluation, Status, Task
from sandbox.worker import Worker


class IdleSlot:
    """Says at once that a program ended well."""

    level = "L0"

    def __init__(self, bundle: Bundle, index: int) -> None:
        self.pids: dict[str, int] = {}

    def start(self) -> None:
        pass

    def evaluate(self, task: Task) -> Evaluation:
        return Evaluation(
            candidate=task.candidate, status=Status.OK, fitness=1.0, descriptor=(0.0,)
        )

    def close(self) -> None:
        pass


def main() -> None:
    address, run_key = sys.argv[1:]
    link = Link(address, Curve(KeyPair(**json.load(sys.stdin)), run_key))
    Worker(link, Agent("idle", "idle", 1, pid=os.getpid(), prefetch=200), IdleSlot).run()


if __name__ == "__main__":
    main()
