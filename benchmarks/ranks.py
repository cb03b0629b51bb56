"""Two samplers with one thread each against one with two threads, over the same orders.

    python -m benchmarks.ranks            # some minutes on two cores
    python -m benchmarks.ranks --small    # the same with a tenth of the work

Samplers are processes of their own, which reach this one over TCP with CURVE, as ranks and samplers
of other machines do. Both sides take turns on the same parts, so that a busy machine burdens them
alike; each has its model loaded before the clock starts. Tokens are those of completions. Prints
JSON. Exit code 1 where two samplers are slower than one. `same_parts` counts the parts of which
both sides wrote the same: another number of threads changes the last bits of logits, and so now
and then a token.

On the processor, two samplers share its cores and its memory bus; on two graphics processors they
share nothing but the run, so that what is lost here is more than what would be lost there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from elm.build import build_environment
from elm.candidate import Candidate, Elite, Evaluation, Status
from elm.config import Settings, check
from elm.sampler.base import MadePart, Part
from elm.sampler.job import job_of
from elm.sampler.settings import read
from elm.sampler.studio import Studio
from elm.seeding import derive
from elm.variation.base import Operator, Order
from environments.base import Environment
from sandbox.keys import keep

PROMISED = 1.0  # two samplers over one
PROMISED_SMALL = 0.5  # parts of seconds, on a machine that may do anything else
ROOT = Path(__file__).resolve().parents[1]


class _Unused(Operator):
    """This process makes nothing: it loads no model."""

    name, parents = "unused", 1

    def propose(self, orders: Any) -> list[Any]:
        raise AssertionError("all parts are made elsewhere")


def settings(threads: int, micro_batch: int, tokens: int) -> Settings:
    """Of the default job, with so many threads for each sampler."""
    model = yaml.safe_load((ROOT / "configs/model/smollm2.yaml").read_text())
    model |= {"threads": threads, "micro_batch": micro_batch, "max_new_tokens": tokens}
    environment = yaml.safe_load((ROOT / "configs/environment/sodarace.yaml").read_text())
    return check(
        {
            "environment": environment.get("environment", environment),
            "model": model,
            "variation": yaml.safe_load((ROOT / "configs/variation/prompt.yaml").read_text()),
            "budget": {"evaluations": 1},
        }
    )


def orders(environment: Environment, parts: int, size: int) -> list[Part]:
    """The same for all: children of the environment's seeds."""
    elites = [
        Elite(
            Candidate(id=number, block=0, program=seed.program),
            Evaluation(candidate=number, status=Status.OK, fitness=float(number)),
        )
        for number, seed in enumerate(environment.seeds())
    ]

    def order(block: int, index: int) -> Order:
        chosen = [elites[(block + shift) % len(elites)] for shift in range(3)]
        return Order(tuple(chosen), derive(1, block, index))

    return [Part(b, 0, tuple(order(b, i) for i in range(size))) for b in range(parts)]


class Side:
    """So many samplers with so many threads each, ready to work."""

    def __init__(self, folder: Path, samplers: int, run: Settings) -> None:
        folder.mkdir()
        (folder / "enrolled").mkdir()
        keep(folder / "own", "sampler")
        text = (folder / "own" / "sampler.key").read_text()
        (folder / "enrolled" / "own.key").write_text(text)
        environment = build_environment(run.environment)
        self.samplers = samplers
        section = {
            "here": 0,
            "listen": "tcp://127.0.0.1:0",
            "keys": str(folder / "keys"),
            "enrolled": str(folder / "enrolled"),
            "patience": 60.0,
        }
        self.studio = Studio(
            read(section),
            _Unused(),
            1,
            time.monotonic,
            job_of(run, environment),
            announce=lambda line: None,
        )
        self.processes = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "elm.sampler", "--join", str(self.studio.listening)),
                    *("--run-key", str(folder / "keys" / "run.key")),
                    *("--keys", str(folder / "own"), "--name", f"sampler-{number}"),
                ],
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
            )
            for number in range(samplers)
        ]
        self.seconds: list[float] = []
        self.made: list[dict[int, MadePart]] = []

    def wait(self) -> None:
        """Until all have loaded their model."""
        up = 0
        while up < self.samplers:
            for process in self.processes:
                if process.poll() is not None:
                    raise RuntimeError(f"a sampler ended with exit status {process.returncode}")
            up += sum(line.endswith(" is up") for line in self.studio.notices())
            time.sleep(0.05)

    def work(self, parts: list[Part]) -> None:
        """Has all of them made once."""
        begun = time.monotonic()
        self.studio.submit(parts)
        made: dict[int, MadePart] = {}
        while len(made) < len(parts):
            for part in self.studio.made():
                if part.error is not None:
                    raise part.error
                made[part.block] = part
            time.sleep(0.002)
        self.seconds.append(time.monotonic() - begun)
        self.made.append(made)

    def close(self) -> None:
        self.studio.close()
        for process in self.processes:
            process.wait(60)

    def tokens(self) -> int:
        """Of one round."""
        return sum(
            attempt.completion_tokens
            for part in self.made[-1].values()
            for proposal in part.proposals
            for attempt in proposal.attempts
        )

    def figures(self) -> dict[str, Any]:
        rates = [self.tokens() / seconds for seconds in self.seconds]
        makers = [sum(p.sampler == f"sampler-{n}" for p in self.made[-1].values()) for n in (0, 1)]
        return {
            "samplers": self.samplers,
            "parts_by_sampler": makers[: self.samplers],
            "completion_tokens": self.tokens(),
            "tokens_per_second": round(statistics.median(rates), 1),
            "each_round": [round(rate, 1) for rate in rates],
        }


def measure(parts: int, micro_batch: int, tokens: int, rounds: int) -> dict[str, Any]:
    """Both sides in turn; the ratio of their rates, round by round."""
    with tempfile.TemporaryDirectory() as folder:
        one_run, two_run = (settings(threads, micro_batch, tokens) for threads in (2, 1))
        work = orders(build_environment(one_run.environment), parts, micro_batch)
        one = Side(Path(folder) / "one", 1, one_run)
        two = Side(Path(folder) / "two", 2, two_run)
        try:
            for side in (one, two):
                side.wait()
                side.work(work[:2])  # nothing is cold afterwards
                side.seconds.clear()
            for number in range(rounds):
                for side in (one, two) if number % 2 == 0 else (two, one):
                    side.work(work)
        finally:
            one.close()
            two.close()
    ratios = [
        (two.tokens() / b) / (one.tokens() / a)
        for a, b in zip(one.seconds, two.seconds, strict=True)
    ]
    same = sum(_texts(one.made[-1][b]) == _texts(two.made[-1][b]) for b in range(parts))
    return {
        "parts": parts,
        "micro_batch": micro_batch,
        "max_new_tokens": tokens,
        "cores": len(os.sched_getaffinity(0)),
        "one_with_two_threads": one.figures(),
        "two_with_one_thread": two.figures(),
        "same_parts": same,  # one thread or two change the last bits of logits
        "ratio": round(statistics.median(ratios), 3),
    }


def _texts(made: MadePart) -> list[str]:
    return [attempt.completion for p in made.proposals for attempt in p.attempts]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--small", action="store_true")
    small = parser.parse_args().small
    figures = measure(4, 4, 16, 1) if small else measure(8, 16, 48, 5)
    figures["promised"] = PROMISED_SMALL if small else PROMISED
    print(json.dumps(figures, indent=2))
    return 0 if figures["ratio"] >= figures["promised"] else 1


if __name__ == "__main__":
    sys.exit(main())
