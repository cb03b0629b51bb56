"""Every way in which a program can end, at every level, and a good evaluation after each."""

from __future__ import annotations

import pytest

from sandbox.protocol import Status

# name, source, status, part of the detail
PROGRAMS = [
    ("endless loop", "def main():\n    while True: pass", "timeout", "0.5 s of CPU"),
    ("sleeps for ever", "import time\ndef main(): time.sleep(1e6)", "timeout", "wall-clock"),
    (
        "stops itself",
        "import os, signal\ndef main(): os.kill(os.getpid(), signal.SIGSTOP)",
        "timeout",
        "wall-clock",
    ),
    ("memory hog", "def main(): return len([0] * 10**9)", "memory", "MemoryError"),
    (
        "memory hog in small steps",
        "def main():\n    hoard = []\n    while True: hoard.append(bytearray(1 << 20))",
        "memory",
        "MemoryError",
    ),
    (
        "memory hog that catches",
        "def main():\n"
        "    hoard = []\n"
        "    while True:\n"
        "        try: hoard.append(bytearray(1 << 20))\n"
        "        except MemoryError: pass",
        "timeout",
        "CPU",
    ),
    (
        "prints for ever",
        "def main():\n    while True: print('x' * 1000)",
        "output_limit",
        "printed",
    ),
    ("huge artifact", "def main(): return 'x' * 200_000", "output_limit", "100000 bytes"),
    (
        "raises",
        "def main():\n    raise ValueError('no\\nway')",
        "runtime_error",
        "ValueError: no way (line 2 of program.py)",
    ),
    ("does not parse", "def main(:", "runtime_error", "SyntaxError: invalid syntax (line 1 of"),
    ("recursion", "def main(): return main()", "runtime_error", "RecursionError: maximum"),
    (
        "recursion without a limit",
        "import sys\nsys.setrecursionlimit(10**9)\n"
        "class C:\n    def __getattr__(self, name): return getattr(self, name + 'x')\n"
        "def main(): return C().x",
        None,  # what it dies of depends on which limit its stack meets first
        "",
    ),
    ("exits", "import sys\ndef main(): sys.exit(3)", "runtime_error", "SystemExit: 3"),
    ("leaves", "import os\ndef main(): os._exit(0)", "runtime_error", "exit status 0 and without"),
    ("aborts", "import os\ndef main(): os.abort()", "runtime_error", "SIGABRT"),
    ("segfault", "import ctypes\ndef main(): ctypes.string_at(8)", "runtime_error", "SIGSEGV"),
    (
        "interrupts itself",
        "import signal\ndef main(): signal.raise_signal(15)",
        "runtime_error",
        "SIGTERM",
    ),
    ("NaN", "def main(): return float('nan')", "bad_result", "JSON"),
    ("infinity", "def main(): return [float('inf')]", "bad_result", "JSON"),
    ("set", "def main(): return {1}", "bad_result", "not JSON serializable"),
    (
        "deep nesting",
        "def main():\n    x = []\n    for _ in range(500): x = [x]\n    return x",
        "bad_result",
        "nested over 100 deep",
    ),
    ("itself", "def main():\n    x = []\n    x.append(x)\n    return x", "bad_result", "Circular"),
    ("half a surrogate pair", "def main(): return '\\ud800'", "bad_result", "surrogate"),
    ("long integer", "def main(): return 10**400", "bad_result", "400 digits"),
    (
        "not what the judge wants",
        "def main(): return 'text'",
        "bad_result",
        "expected a number, got str",
    ),
    (
        "writes another result first",
        "import os\ndef main():\n"
        "    for fd in range(64):\n"
        "        try: os.write(fd, b'A7')\n"
        "        except OSError: pass\n"
        "    return 8",
        "bad_result",
        "not one JSON document",
    ),
    (
        "closes everything",
        "import os\ndef main():\n    os.closerange(0, 64)\n    return 1",
        "runtime_error",
        "without a result",
    ),
    (
        "thread that never ends",
        "import threading\ndef main():\n"
        "    def spin():\n        while True: pass\n"
        "    threading.Thread(target=spin).start()\n    return 3",
        "ok",
        "",
    ),
    (
        "patches builtins",
        "import builtins, json, sys\ndef main():\n"
        "    builtins.len = builtins.print = None\n    sys.stdout = sys.stderr = None\n"
        "    return 4",
        "ok",
        "",
    ),
    (
        "patches json",
        "import json\ndef main():\n    json.dumps = lambda *a, **k: 'NaN'\n",
        "bad_result",
        "NaN",
    ),
    (
        "exception that fights",
        "class E(Exception):\n    def __str__(self): raise self\ndef main(): raise E",
        "runtime_error",
        "",
    ),
    (
        "kill everything of its group",
        "import os\ndef main():\n    os.killpg(0, 15)\n    return 1",
        None,
        "",
    ),
]


@pytest.mark.parametrize(
    ("source", "status", "detail"), [p[1:] for p in PROGRAMS], ids=[p[0] for p in PROGRAMS]
)
def test_status(bench, source, status, detail):
    found = bench.run(source)
    if status is None:
        assert found.status in {Status.RUNTIME_ERROR, Status.MEMORY, Status.VIOLATION}
    else:
        assert found.status == status, found
    assert detail in found.detail
    assert len(found.detail) <= 300
    assert "\n" not in found.detail
    assert (found.level, found.node, found.candidate) == (bench.slot.level, "bench", 5)
    assert (found.fitness is not None) == (found.status is Status.OK)
    bench.assert_fine()


def test_good_program_is_measured(bench):
    found = bench.run(
        "import sys, time\ndef main():\n"
        "    print('out'); print('err', file=sys.stderr)\n"
        "    end = time.process_time() + 0.1\n"
        "    while time.process_time() < end: pass\n"
        "    keep = bytearray(40 << 20)\n"
        "    return 2.5"
    )
    assert found.status is Status.OK
    assert found.fitness == 2.5
    assert found.descriptor == (2.5, 0.5)
    assert found.metrics == {"twice": 5.0}
    assert found.artifact == 2.5
    assert sorted(found.logs.split()) == ["err", "out"]
    assert 0.1 <= found.cpu_seconds < 0.5
    assert found.wall_seconds >= found.cpu_seconds - 0.01
    assert 38 <= found.peak_memory_mb <= 60


def test_fractions_of_a_cpu_second_count(bench):
    source = (
        "import time\ndef main():\n"
        "    end = time.process_time() + {}\n"
        "    while time.process_time() < end: pass\n"
        "    return 1"
    )
    assert bench.run(source.format(0.3)).status is Status.OK
    late = bench.run(source.format(0.7))
    assert late.status is Status.TIMEOUT
    assert late.cpu_seconds == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    "body",
    [
        "import mmap; mmap.mmap(-1, 1 << 30)",
        "raise ImportError('x.so: failed to map segment from shared object')",
    ],
)
def test_failed_allocations_by_other_names_are_memory_too(bench, body):
    found = bench.run(f"def main():\n    {body}")
    assert found.status is Status.MEMORY, found
    assert "(line 2 of program.py)" in found.detail
    bench.assert_fine()


def test_much_output_neither_blocks_nor_is_kept(bench):
    found = bench.run("def main():\n    print('y' * 300_000)\n    return 1")
    assert found.status is Status.OK
    assert found.logs == "y" * 10_000


def test_control_characters_do_not_reach_the_detail(bench):
    found = bench.run("def main(): raise ValueError('\\x1b[2J\\x07' + 'z' * 5000)")
    assert "\x1b" not in found.detail
    assert len(found.detail) <= 300
