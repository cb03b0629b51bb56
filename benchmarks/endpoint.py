"""How many completions a second come from an endpoint that takes a second for each.

    python -m benchmarks.endpoint            # some seconds
    python -m benchmarks.endpoint --small    # a check of ratios for continuous integration

64 requests at one time, so that 64 a second are all that there can be. `batch`: one call of
`complete` for all of them. `lanes`: one request a call, from as many threads, as a run does it. The
endpoint is another process. Prints JSON. Exit code 1 where a figure misses what the project
promises.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import elm.models
from elm.models import Completion, LanguageModel, Message, Request

CONCURRENCY = 64
PROMISED = 55.0  # completions a second, of 64
PROMISED_AT_ONCE = 8.0  # the least that requests must overlap, on a machine of any speed


@contextmanager
def endpoint(seconds: float) -> Iterator[str]:
    """The address of an endpoint in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.slow_endpoint", str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def requests(count: int) -> list[Request]:
    text = "Improve this program:\n" + "x = 1\n" * 400
    return [Request(messages=(Message("user", text),), seed=seed) for seed in range(count)]


def batch(model: LanguageModel, asked: Sequence[Request]) -> list[Completion]:
    return model.complete(asked)


def lanes(model: LanguageModel, asked: Sequence[Request]) -> list[Completion]:
    with ThreadPoolExecutor(model.lanes) as pool:
        return [each[0] for each in pool.map(lambda one: model.complete([one]), asked)]


def measure(kind: str, url: str, seconds: float, rounds: int) -> dict[str, Any]:
    """Completions a second, in both ways of asking."""
    name = "slow" if kind == "openai" else "openai/slow"
    model = elm.models.build(
        {
            "kind": kind,
            "name": name,
            "base_url": url,
            "api_key_env": "ELM_NO_KEY",
            "concurrency": CONCURRENCY,
            "prices": {"input": 0.0, "output": 0.0},
        }
    )
    assert model is not None
    found: dict[str, Any] = {}
    try:
        model.complete(requests(CONCURRENCY))  # connections, and what a library does first
        for way in (batch, lanes):
            asked = requests(CONCURRENCY * rounds)
            begun, used = time.perf_counter(), time.process_time()
            answers = way(model, asked)
            taken, busy = time.perf_counter() - begun, time.process_time() - used
            if any(each.finish_reason == "error" or each.tries > 1 for each in answers):
                raise RuntimeError("the endpoint did not answer everybody at once")
            found[way.__name__] = {
                "completions": len(answers),
                "per_second": round(len(answers) / taken, 1),
                "at_one_time": round(len(answers) * seconds / taken, 1),
                "processor_ms_each": round(1000 * busy / len(answers), 2),
            }
    finally:
        model.close()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--kinds", nargs="+", default=["openai"])
    options = parser.parse_args()
    seconds, rounds = 1.0, 2 if options.small else 8
    report: dict[str, Any] = {
        "benchmark": "endpoint",
        "cpus": len(os.sched_getaffinity(0)),
        "seconds": seconds,
        "concurrency": CONCURRENCY,
    }
    missed = []
    with endpoint(seconds) as url:
        for kind in options.kinds:
            report[kind] = measure(kind, url, seconds, rounds)
            for way, found in report[kind].items():
                if found["at_one_time"] < PROMISED_AT_ONCE:
                    missed.append(f"{kind} {way} at_one_time")
                if not options.small and found["per_second"] < PROMISED:
                    missed.append(f"{kind} {way} per_second")
    report["missed"] = missed
    print(json.dumps(report, indent=2))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
