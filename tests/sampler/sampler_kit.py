"""Parts, settings and processes for tests of samplers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from elm.build import build_environment
from elm.candidate import Candidate, Elite, Evaluation, Proposal, Status
from elm.config import Settings, check
from elm.sampler.base import MadePart, Part, Samplers
from elm.sampler.job import Workshop, build, job_of
from elm.sampler.settings import read
from elm.sampler.studio import Studio
from elm.variation.base import Order
from sandbox.keys import keep

ROOT = Path(__file__).parents[2]


def settings(**changes: Any) -> Settings:
    """Of a run whose operator is quick and asks no model."""
    sections = {
        "environment": {"name": "string", "target": "quality"},
        "variation": {"name": "syntax_tree"},
        "budget": {"evaluations": 10},
    }
    return check(sections | changes)


def parts(run: Settings, count: int, orders: int = 3) -> list[Part]:
    """Parts of blocks of two, with the environment's first seed as every parent."""
    environment = build_environment(run.environment)
    program = environment.seeds()[0].program
    elite = Elite(
        Candidate(id=0, block=0, program=program),
        Evaluation(candidate=0, status=Status.OK, fitness=0.1, artifact={"text": "x"}),
    )
    return [
        Part(n // 2, n % 2, tuple(Order((elite,), 1000 * n + i) for i in range(orders)))
        for n in range(count)
    ]


def wait_for(condition: Callable[[], Any], seconds: float = 240.0) -> None:
    """Looks again and again; an AssertionError where it never comes to be."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)


class Run:
    """A studio that listens, in a folder of its own, and the processes that join it."""

    def __init__(self, folder: Path, run: Settings | None = None, **section: Any) -> None:
        self.folder = folder
        self.settings = run or settings()
        (folder / "enrolled").mkdir(exist_ok=True)
        self.workshop: Workshop = build(self.job())
        begun = time.monotonic()
        self.studio = Studio(
            read(
                {
                    "here": 0,
                    "listen": "tcp://127.0.0.1:0",
                    "keys": str(folder / "keys"),
                    "enrolled": str(folder / "enrolled"),
                    "heartbeat": 0.2,
                    "patience": 2.0,
                }
                | section
            ),
            self.workshop.operator,
            1,
            lambda: time.monotonic() - begun,
            self.job(),
            announce=lambda line: None,
        )
        self.heard: list[str] = []
        self.made: dict[tuple[int, int], MadePart] = {}
        self.processes: list[subprocess.Popen[str]] = []

    def job(self) -> Any:
        return job_of(self.settings, build_environment(self.settings.environment))

    def enroll(self, name: str) -> Path:
        """A folder with a key pair that this run lets in."""
        folder = self.folder / name
        keep(folder, "sampler")
        text = (folder / "sampler.key").read_text()
        (self.folder / "enrolled" / f"{name}.key").write_text(text)
        return folder

    def join(self, name: str, *options: str, enrolled: bool = True) -> subprocess.Popen[str]:
        """A sampler process."""
        keys = self.enroll(name) if enrolled else self.folder / f"{name}-unknown"
        return self.start(
            "--join",
            str(self.studio.listening),
            "--run-key",
            str(self.folder / "keys" / "run.key"),
            "--keys",
            str(keys),
            "--name",
            name,
            *options,
        )

    def start(self, *options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "elm.sampler", *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def collect(self) -> dict[tuple[int, int], MadePart]:
        """Everything made so far; an AssertionError for a part that comes twice."""
        collect(self.studio, self.made)
        self.heard += self.studio.notices()
        return self.made

    def heard_of(self, *words: str) -> bool:
        """Whether some notice holds all these words."""
        self.collect()
        return any(all(word in line for word in words) for line in self.heard)

    def up(self, count: int) -> bool:
        self.collect()
        with self.studio._hub.changed:
            return sum(s["state"] == "ready" for s in self.studio._hub.desk.status()) >= count

    def check(self, submitted: list[Part]) -> None:
        """What was made elsewhere is what this process would have made."""
        assert set(self.made) == {(part.block, part.index) for part in submitted}
        for part in submitted:
            made = self.made[part.block, part.index]
            assert made.error is None
            assert list(made.proposals) == same(self.workshop, part)

    def close(self) -> None:
        self.studio.close()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


def collect(samplers: Samplers, made: dict[tuple[int, int], MadePart]) -> None:
    for each in samplers.made():
        assert (each.block, each.index) not in made, "a part came twice"
        made[each.block, each.index] = each


def same(workshop: Workshop, part: Part) -> list[Proposal]:
    return list(workshop.operator.propose(part.orders))
