"""How many evaluations a second come home through the fleet.

    python -m benchmarks.fleet            # about a minute
    python -m benchmarks.fleet --small    # a check of ratios for continuous integration

`idle`: tasks that no slot executes, from one process to another over TCP with CURVE, acknowledged
once they are in a SQLite journal in write-ahead mode. `whole`: programs that a run sends to a
standalone server with two jailed slots, judged, journalled, archived. `direct`: a similar program
in such slots, without anything around them. Prints JSON. Exit code 1 where a figure misses what
the project promises.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.pipeline import measure
from benchmarks.sandbox import direct
from benchmarks.server import serving
from elm.dispatch.broker import Broker
from elm.dispatch.guard import Guard
from elm.dispatch.router import Router
from sandbox.keys import KeyPair
from sandbox.protocol import Bundle, Code, Task

PROMISED = {"idle": 5000.0, "whole": 400.0}  # per second
# Within one run, so that they hold on a machine of any speed that does other things as well.
PROMISED_RATIOS = {"whole_over_direct": 0.4, "idle_over_whole": 5.0}
BATCH = 512


def idle(tasks: int, *, curve: bool = True) -> dict[str, Any]:
    """Tasks that cost nothing, through real sockets between two processes."""
    bundle = Bundle(environment="idle", producer=Code("p", {"p": ""}), judge=Code("j", {"j": ""}))
    run, worker = KeyPair.new(), KeyPair.new()
    with tempfile.TemporaryDirectory() as folder, closing(_journal(Path(folder))) as journal:
        router = Router(
            Broker(secrets.token_hex(4), bundle),
            f"ipc://{folder}/fleet",
            guard=Guard(run, [worker.public]),
            listen=["tcp://127.0.0.1:*"],
        )
        router.start()
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.idle_worker", router.bound[0], run.public],
            stdin=subprocess.PIPE,
        )
        try:
            assert process.stdin is not None
            pair = {"public": worker.public, "secret": worker.secret}
            process.stdin.write(json.dumps(pair).encode())
            process.stdin.close()
            while not router.broker.slots:
                time.sleep(0.01)
            seconds = _bring_home(router, journal, bundle, tasks)
            rows = journal.execute("SELECT COUNT(*) FROM evaluations").fetchone()[0]
        finally:
            router.close()
            process.wait(30)
    if rows != tasks:
        raise RuntimeError(f"{rows} of {tasks} evaluations are in the journal")
    return {"tasks": tasks, "seconds": round(seconds, 2), "per_second": round(tasks / seconds, 1)}


def _journal(folder: Path) -> sqlite3.Connection:
    journal = sqlite3.connect(folder / "journal.db", isolation_level=None)
    journal.execute("PRAGMA journal_mode=WAL")
    journal.execute("PRAGMA synchronous=NORMAL")
    journal.execute("CREATE TABLE evaluations (candidate INTEGER PRIMARY KEY, content TEXT)")
    return journal


def _bring_home(router: Router, journal: sqlite3.Connection, bundle: Bundle, tasks: int) -> float:
    digest = bundle.digest
    begun = time.perf_counter()
    submitted = finished = 0
    while finished < tasks:
        if submitted - finished < 2 * BATCH and submitted < tasks:
            more = range(submitted, min(tasks, submitted + BATCH))
            router.submit([Task(n, digest, {"main.py": f"# {n}"}, n) for n in more])
            submitted = more.stop
        found = router.results(1.0)
        journal.execute("BEGIN")
        journal.executemany(
            "INSERT INTO evaluations VALUES (?, ?)",
            [(each.candidate, msgspec.json.encode(each).decode()) for each in found],
        )
        journal.execute("COMMIT")
        router.acknowledge([each.candidate for each in found])
        finished += len(found)
    return time.perf_counter() - begun


def whole(evaluations: int, slots: int) -> dict[str, Any]:
    """A run of trivial programs on a standalone server, all parts real."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), slots=slots) as server:
        token = str(server.token_file)
        return measure(evaluations, slots=0, servers=[server.url], token_file=token)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--slots", type=int, default=2)
    options = parser.parse_args()
    report: dict[str, Any] = {
        "benchmark": "fleet",
        "cpus": len(os.sched_getaffinity(0)),
        "slots": options.slots,
        "idle": idle(5_000 if options.small else 50_000),
        "whole": whole(400 if options.small else 4000, options.slots),
        "direct_per_second": round(direct(options.slots, 200 if options.small else 1000), 1),
    }
    rate = report["whole"]["evaluations_per_second"]
    report["whole_over_direct"] = round(rate / report["direct_per_second"], 2)
    report["idle_over_whole"] = round(report["idle"]["per_second"] / rate, 1)
    missed = [name for name, least in PROMISED_RATIOS.items() if report[name] < least]
    if not options.small:
        rates = {"idle": report["idle"]["per_second"], "whole": rate}
        missed += [name for name, least in PROMISED.items() if rates[name] < least]
    report["missed"] = missed
    print(json.dumps(report, indent=2))
    return 1 if report["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
