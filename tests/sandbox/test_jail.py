"""What a jail is to keep apart from single attacks: leftovers, limits of files, weaker levels."""

from __future__ import annotations

import os
import signal
import threading

import msgspec
import pytest
from slot_bench import LIMITS, Bench

from sandbox.protocol import Status


def test_processes_at_l1_do_not_outlive_the_program(bench):
    if bench.slot.level != "L1":
        pytest.skip("only L1 lets a program fork")
    found = bench.run(
        "import os, time, ctypes\ndef main():\n"
        "    for _ in range(20):\n"
        "        if os.fork() == 0:\n"
        "            os.setsid()\n"
        "            ctypes.CDLL(None).prctl(1, 0)\n"
        "            if os.fork() == 0: time.sleep(100)\n"
        "            time.sleep(100)\n"
        "    return 1"
    )
    assert found.status is Status.OK
    bench.assert_fine()


def test_killing_itself_at_l1_is_the_programs_own_doing(bench):
    if bench.slot.level != "L1":
        pytest.skip("elsewhere the call is refused")
    found = bench.run("import os\ndef main(): os.kill(os.getpid(), 9)")
    assert found.status is Status.RUNTIME_ERROR
    assert "SIGKILL" in found.detail


def test_nothing_is_left_to_the_next_program(bench):
    leave = (
        "import os, sys, builtins, json, random\ndef main():\n"
        "    os.makedirs('a/b'); open('a/b/c', 'w').write('x'); open('.hidden', 'w')\n"
        "    os.mkdir('locked', 0); os.symlink('/', 'link')\n"
        "    os.environ['LEFT'] = '1'; builtins.LEFT = 1; json.LEFT = 1\n"
        "    sys.modules['left'] = json; random.seed = None\n"
        "    return 1"
    )
    look = (
        "import os, sys, builtins, json, random\ndef main():\n"
        "    found = os.listdir('.') + [os.environ.get('LEFT'), getattr(builtins, 'LEFT', None),\n"
        "        getattr(json, 'LEFT', None), sys.modules.get('left')]\n"
        "    return sum(x is not None for x in found) + (random.seed is None)"
    )
    assert bench.run(leave).status is Status.OK
    found = bench.run(look)
    assert (found.status, found.fitness) == (Status.OK, 0.0), found


def test_environment_is_empty(bench):
    found = bench.run(
        "import os, ctypes\ndef main():\n"
        "    names = sorted(os.environ)\n"
        "    if names != ['HOME', 'TMPDIR']: raise LookupError(names)\n"
        "    get = ctypes.CDLL(None).getenv; get.restype = ctypes.c_char_p\n"
        "    return sum(get(n) is not None for n in (b'PATH', b'PYTHONHASHSEED', b'LANG'))"
    )
    assert (found.status, found.fitness) == (Status.OK, 0.0), found


def test_only_three_files_are_open(bench):
    found = bench.run(
        "import os\ndef main():\n    n = 0\n    for fd in range(200):\n"
        "        try: os.fstat(fd); n += 1\n"
        "        except OSError: pass\n"
        "    return n"
    )
    assert found.fitness == 4.0  # stdin, stdout, stderr and the pipe for the result


@pytest.mark.parametrize(
    ("name", "source"),
    [
        (
            "one large file",
            "def main():\n    open('f', 'wb').write(bytes(5_000_000))\n    return 1",
        ),
        (
            "many files",
            "def main():\n    n = 0\n    while True:\n        n += 1\n"
            "        open(str(n), 'wb').write(bytes(900_000))",
        ),
        (
            "a deep tree",
            "import os\ndef main():\n    for _ in range(1500):\n"
            "        os.mkdir('d' * 9); open('f', 'w').close(); os.chdir('d' * 9)\n"
            "    os.mkdir('locked', 0)\n    raise OSError",
        ),
        ("open files", "def main():\n    hoard = [open(str(n), 'w') for n in range(100)]"),
    ],
)
def test_files_are_limited(bench, name, source):
    found = bench.run(source)
    allowed = {Status.RUNTIME_ERROR, Status.OUTPUT_LIMIT, Status.TIMEOUT}
    assert found.status in allowed, found
    bench.assert_fine()


def test_useful_programs_work(bench):
    found = bench.run(
        "import asyncio, tempfile, threading, json, time, datetime, pathlib\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "async def wait():\n    await asyncio.sleep(0.01)\n    return 1\n"
        "def deep(n): return 0 if n == 0 else 1 + deep(n - 1)\n"
        "def main():\n"
        "    with tempfile.TemporaryDirectory() as folder:\n"
        "        pathlib.Path(folder, 'x').write_text('y')\n"
        "    with tempfile.NamedTemporaryFile() as file: file.write(b'z')\n"
        "    with ThreadPoolExecutor(4) as pool: total = sum(pool.map(abs, range(-3, 0)))\n"
        "    time.sleep(0.001); datetime.datetime.now().isoformat()\n"
        "    return total + asyncio.run(wait()) + deep(900)"
    )
    assert (found.status, found.fitness) == (Status.OK, 907.0), found


def test_environments_that_allow_processes_get_them(make_slot, levels):
    for level in levels:
        slot = make_slot(level, limits=msgspec.structs.replace(LIMITS, processes=2))
        bench = Bench(slot)
        found = bench.run(
            "import os, time\ndef main():\n"
            "    pid = os.fork()\n    if pid == 0: os._exit(7)\n"
            "    if os.fork() == 0: time.sleep(100)\n"
            "    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"
        )
        assert (found.status, found.fitness) == (Status.OK, 7.0), found
        bench.assert_fine()


def test_interrupt_of_the_terminal_does_not_reach_a_program(bench):
    timer = threading.Timer(0.2, os.kill, (bench.slot.pids["zygote"], signal.SIGINT))
    timer.start()
    found = bench.run("import time\ndef main():\n    time.sleep(0.5)\n    return 1")
    timer.join()
    assert found.status is Status.OK
    bench.assert_fine()


CHILDREN = """
import os, time
def main():
    for _ in range({number}):
        if os.fork() == 0:
            time.sleep(2)
            os._exit(0)
    time.sleep(0.4)
    return 1
"""


def test_children_are_counted_while_they_live(make_slot, levels):
    for level in levels:
        bench = Bench(make_slot(level, limits=msgspec.structs.replace(LIMITS, processes=2)))
        assert bench.run(CHILDREN.format(number=2)).status is Status.OK
        found = bench.run(CHILDREN.format(number=3))
        assert found.status is Status.VIOLATION
        assert found.detail == "more than 2 processes of its own at one time"
        bench.assert_fine()
        one_after_the_other = (
            "import os\ndef main():\n    for _ in range(20):\n        pid = os.fork()\n"
            "        if pid == 0: os._exit(0)\n        os.waitpid(pid, 0)\n    return 1"
        )
        assert bench.run(one_after_the_other).status is Status.OK


def test_time_of_children_is_the_programs_own(make_slot, levels):
    burn = (
        "import os, time\ndef main():\n    if os.fork() == 0:\n"
        "        end = time.process_time() + {}\n"
        "        while time.process_time() < end: pass\n"
        "        os._exit(0)\n    {}\n    return 1"
    )
    for level in levels:
        limits = msgspec.structs.replace(LIMITS, processes=1, wall_seconds=20.0)
        bench = Bench(make_slot(level, limits=limits))
        for wait in ("time.sleep(15)", "os.wait()"):
            found = bench.run(burn.format(60, wait))
            assert found.status is Status.TIMEOUT
            assert "0.5 s of CPU" in found.detail
            assert 0.5 <= found.cpu_seconds < 2
        found = bench.run(burn.format(0.2, "os.wait()"))
        assert found.status is Status.OK
        assert found.cpu_seconds >= 0.2
        bench.assert_fine()
