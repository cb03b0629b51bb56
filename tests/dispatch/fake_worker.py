"""A worker whose slots execute nothing: started as a process of its own by tests."""

from __future__ import annotations

import argparse
import os
import sys
import time

from sandbox.protocol import Bundle, Evaluation, Status, Task
from sandbox.worker import configure, main


class FakeSlot:
    """Does what the one file of a task says: a number is its fitness, a word an accident."""

    level = "L2"
    blameless = False

    def __init__(self, bundle: Bundle, index: int) -> None:
        self.environment, self.pids = bundle.environment, {"zygote": 1_000_000_000 + index}

    def start(self) -> None:
        if self.environment == "broken":
            raise RuntimeError("the module\n'Box2D' is not installed")

    def evaluate(self, task: Task) -> Evaluation:
        text = task.files["main.py"]
        if text.startswith("sleep "):
            time.sleep(float(text.split()[1]))
            text = text.split()[2]
        if text == "kill":
            os._exit(3)
        if text == "raise":
            raise RuntimeError("slot is broken")
        if text == "lost":
            return Evaluation(candidate=task.candidate, status=Status.LOST, detail="no zygote")
        return Evaluation(
            candidate=task.candidate,
            status=Status.OK,
            fitness=float(text),
            level=self.level,
            artifact={"environment": dict(os.environ), "pid": os.getpid()},
        )

    def close(self) -> None:
        pass


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    configure(parser)
    sys.exit(main(parser.parse_args(), FakeSlot))
