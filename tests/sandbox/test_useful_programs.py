"""Programs that mean no harm and use much of Python: a jail is no good if they do not work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from textwrap import dedent, indent

import pytest
from slot_bench import Bench, make_bundle

from sandbox.protocol import Limits, Status
from sandbox.slot import Slot

PLAIN = Limits(cpu_seconds=2.0, wall_seconds=20.0, memory_mb=256)
# An import maps a package's libraries into the program's own address space: without `preload`
# the memory limit has to have room for them, and the CPU limit time.
LARGE = Limits(cpu_seconds=20.0, wall_seconds=60.0, memory_mb=1024)

# Each returns 1 where what it computed is right.
PROGRAMS = {
    "numpy": """
        import numpy as np
        a = np.random.default_rng(0).normal(size=(60, 60))
        return int(np.allclose(a @ np.linalg.inv(a), np.eye(60), atol=1e-6))""",
    "numpy files": """
        import io, numpy as np
        np.save("x.npy", np.arange(5)); np.savetxt("x.txt", np.arange(3))
        return int(np.load("x.npy").sum() == 10)""",
    "threads": """
        import threading, queue
        q = queue.Queue()
        workers = [threading.Thread(target=lambda n=n: q.put(n)) for n in range(8)]
        for w in workers: w.start()
        for w in workers: w.join()
        return int(sorted(q.queue) == list(range(8)))""",
    "thread pool": """
        from concurrent.futures import ThreadPoolExecutor, as_completed
        with ThreadPoolExecutor(8) as pool:
            found = [f.result() for f in as_completed([pool.submit(pow, n, 2) for n in range(50)])]
        return int(sum(found) == 40425)""",
    "temporary files": """
        import tempfile, pathlib, shutil
        with tempfile.TemporaryDirectory() as folder:
            p = pathlib.Path(folder, "a", "b"); p.mkdir(parents=True)
            (p / "x").write_text("y"); shutil.move(p / "x", folder)
        with tempfile.NamedTemporaryFile("w+") as f: f.write("z"); f.seek(0); z = f.read()
        with tempfile.SpooledTemporaryFile(10) as f: f.write(b"1" * 100)
        return int(z == "z")""",
    "deep recursion": """
        def deep(n): return 0 if n == 0 else 1 + deep(n - 1)
        return int(deep(950) == 950)""",
    "deeper recursion": """
        import sys
        sys.setrecursionlimit(20_000)
        def deep(n): return 0 if n == 0 else 1 + deep(n - 1)
        return int(deep(15_000) == 15_000)""",
    "recursion in a thread": """
        import sys, threading
        sys.setrecursionlimit(20_000); threading.stack_size(64 << 20)
        out = []
        def deep(n): return 0 if n == 0 else 1 + deep(n - 1)
        t = threading.Thread(target=lambda: out.append(deep(15_000))); t.start(); t.join()
        return int(out == [15_000])""",
    "exact numbers": """
        from decimal import Decimal, getcontext
        from fractions import Fraction
        import math, cmath, statistics
        getcontext().prec = 50
        third = sum([Fraction(1, 3)] * 3)
        return int(third == 1 and str(Decimal(2).sqrt()).startswith("1.41421356237309504880")
                   and math.comb(50, 25) > 10**14 and statistics.mean([1, 3]) == 2)""",
    "texts": """
        import re, json, csv, io, string, textwrap, difflib, unicodedata
        rows = list(csv.reader(io.StringIO("a,b\\n1,2")))
        return int(re.sub(r"(\\w+) (\\w+)", r"\\2 \\1", "a b") == "b a"
                   and json.loads(json.dumps({"x": [1.5, None]})) == {"x": [1.5, None]}
                   and rows[1] == ["1", "2"])""",
    "types": """
        import dataclasses, typing, enum, abc, functools, contextlib, collections
        P = dataclasses.make_dataclass("P", [("x", int), ("y", float, 2.0)], frozen=True)
        T = typing.TypedDict("T", {"a": int}); N = typing.NamedTuple("N", [("a", int)])
        E = enum.Enum("E", "A B")
        @functools.lru_cache(None)
        def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
        return int(dataclasses.replace(P(1), x=3).x == 3 and N(1).a == 1 and fib(80) > 1e16)""",
    "asyncio": """
        import asyncio
        async def work(n):
            await asyncio.sleep(0.001)
            return n
        async def all_of_them():
            found = await asyncio.gather(*(work(n) for n in range(10)))
            return sum(found) + await asyncio.to_thread(abs, -1)
        return int(asyncio.run(all_of_them()) == 46)""",
    "hashes and compression": """
        import hashlib, zlib, gzip, bz2, lzma, base64, hmac, secrets, uuid
        data = b"abc" * 1000
        return int(zlib.decompress(zlib.compress(data)) == data
                   and bz2.decompress(bz2.compress(data)) == data
                   and lzma.decompress(lzma.compress(data)) == data
                   and hashlib.sha256(b"").hexdigest().startswith("e3b0c442")
                   and len(secrets.token_hex(4)) == 8 and uuid.uuid4().version == 4)""",
    "sqlite in memory and in a file": """
        import sqlite3
        for place in (":memory:", "x.db"):
            db = sqlite3.connect(place)
            db.execute("create table t (a)")
            db.executemany("insert into t values (?)", [(n,) for n in range(10)])
            db.commit()
            if db.execute("select sum(a) from t").fetchone() != (45,): return 0
        return 1""",
    "archives": """
        import zipfile, tarfile, io, pickle, copy, shelve
        with zipfile.ZipFile("x.zip", "w") as z: z.writestr("a", "b")
        with tarfile.open("x.tar", "w") as t: t.add("x.zip")
        return int(pickle.loads(pickle.dumps([1])) == [1])""",
    "time": """
        import time, datetime, zoneinfo, calendar, locale
        start = time.perf_counter(); time.sleep(0.002)
        return int(time.perf_counter() > start and datetime.datetime.now().year > 2000
                   and calendar.isleap(2024))""",
    "search": """
        import heapq, bisect, itertools, graphlib, random, array, struct, operator
        heap = [random.random() for _ in range(100)]; heapq.heapify(heap)
        return int([heapq.heappop(heap) for _ in range(100)] is not None
                   and list(graphlib.TopologicalSorter({1: [2]}).static_order()) == [2, 1])""",
    "code of its own": """
        import ast, inspect, types, importlib, warnings, logging, traceback
        tree = ast.parse("x = 1 + 2"); space = {}
        exec(compile(tree, "own", "exec"), space)
        open("helper.py", "w").write("value = 5")
        import sys; sys.path.insert(0, ".")
        import helper
        logging.warning("said"); warnings.warn("said")
        return int(space["x"] == 3 and helper.value == 5)""",
    "signals of its own": """
        import signal
        seen = []
        signal.signal(signal.SIGALRM, lambda *a: seen.append(1))
        signal.setitimer(signal.ITIMER_REAL, 0.001); signal.pause()
        return len(seen)""",
    "memory within its limit": """
        keep = bytearray(150 << 20)
        return int(len(keep) > 0)""",
    "unix tools of Python": """
        import os, platform, getpass, resource, shutil, glob, socket
        a, b = socket.socketpair(); a.send(b"x")
        return int(os.cpu_count() > 0 and platform.system() == "Linux" and b.recv(1) == b"x"
                   and shutil.disk_usage(".").free > 0 and glob.glob("*") == [])""",
}

# Packages that are large beside the interpreter. Each returns 1 as well.
PACKAGES = {
    "scipy": """
        from scipy import optimize, linalg, integrate, sparse, stats
        import scipy.sparse.linalg
        x = optimize.minimize(lambda v: ((v - 3) ** 2).sum(), [0.0, 0.0]).x
        return int(abs(x - 3).max() < 1e-3 and abs(integrate.quad(lambda t: t, 0, 1)[0] - .5) < 1e-9
                   and abs(stats.norm.cdf(0) - 0.5) < 1e-9)""",
    "sympy": """
        import sympy
        x = sympy.symbols("x")
        return int(sympy.integrate(2 * x, x) == x**2 and sympy.solve(x**2 - 4) == [-2, 2])""",
    "pandas": """
        import pandas as pd
        table = pd.DataFrame({"a": [1, 1, 2], "b": [1.0, 2.0, 4.0]})
        table.to_csv("x.csv")
        return int(table.groupby("a").b.sum().tolist() == [3.0, 4.0]
                   and len(pd.read_csv("x.csv")) == 3)""",
}
PRELOADS = {
    "scipy": ("scipy.optimize", "scipy.integrate", "scipy.stats", "scipy.sparse.linalg"),
    "sympy": ("sympy",),
    "pandas": ("pandas",),
}

MakeBench = Callable[..., Bench]


def program(body: str) -> str:
    return f"def main():\n{indent(dedent(body).strip(), '    ')}\n"


@pytest.fixture(scope="module")
def made() -> Iterator[MakeBench]:
    """Slots by their settings, each started once."""
    found: dict[tuple, Bench] = {}

    def make(level: str, limits: Limits, preload: tuple[str, ...] = ()) -> Bench:
        key = (level, limits, preload)
        if key not in found:
            found[key] = Bench(Slot(make_bundle(limits=limits, preload=preload), level=level))
        return found[key]

    yield make
    for bench in found.values():
        bench.slot.close()


@pytest.fixture(params=["L2", "L3"])
def level(request, levels) -> str:
    if request.param not in levels:
        pytest.skip(f"no {request.param} on this machine")
    return request.param


@pytest.mark.parametrize("name", PROGRAMS)
def test_useful_program(made, level, name):
    preload = ("numpy",) if name.startswith("numpy") else ()
    found = made(level, PLAIN, preload).run(program(PROGRAMS[name]))
    assert (found.status, found.fitness, found.detail) == (Status.OK, 1.0, ""), found


@pytest.mark.parametrize("name", PACKAGES)
def test_large_package_once_it_is_preloaded(made, level, name):
    if find_spec(name) is None:
        pytest.skip(f"no {name} installed")
    every = tuple(module for names in PRELOADS.values() for module in names)
    installed = tuple(module for module in every if find_spec(module.partition(".")[0]))
    found = made(level, PLAIN, installed).run(program(PACKAGES[name]))
    assert (found.status, found.fitness, found.detail) == (Status.OK, 1.0, ""), found


@pytest.mark.parametrize("name", PACKAGES)
def test_large_package_that_is_not_preloaded(made, level, name):
    if find_spec(name) is None:
        pytest.skip(f"no {name} installed")
    found = made(level, LARGE).run(program(PACKAGES[name]))
    assert (found.status, found.fitness, found.detail) == (Status.OK, 1.0, ""), found
