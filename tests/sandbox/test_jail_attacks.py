"""Programs that try what the jail forbids. Each returns 1 where it got through.

`weak` names the levels that do not claim to stop it; there the attempt is not made.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from sandbox.protocol import Status

L1 = ("L1",)

CALL = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    result = libc.syscall(*map(ctypes.c_long, arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, "refused")
    return result
"""

# name, weak levels, source
ATTACKS = [
    ("reads a secret", L1, "def main(): return len(open(SECRET).read()) > 0"),
    ("reads through a link", L1,
     "import os\ndef main():\n    os.symlink(SECRET, 'l')\n    return len(open('l').read()) > 0"),
    ("hard link to a secret", L1, "import os\ndef main():\n    os.link(SECRET, 'l')\n    return 1"),
    ("overwrites a file", L1, "def main():\n    open(SECRET, 'w')\n    return 1"),
    ("truncates while reading", L1,
     "import os\ndef main():\n    os.open(SECRET, os.O_RDONLY | os.O_TRUNC)\n    return 1"),
    ("truncates by name", L1, "import os\ndef main():\n    os.truncate(SECRET, 0)\n    return 1"),
    ("removes a file", L1, "import os\ndef main():\n    os.unlink(SECRET)\n    return 1"),
    ("renames a file", L1, "import os\ndef main():\n    os.rename(SECRET, 'x')\n    return 1"),
    ("changes a mode", L1, "import os\ndef main():\n    os.chmod(SECRET, 0o777)\n    return 1"),
    ("changes an owner", L1, "import os\ndef main():\n    os.chown(SECRET, -1, -1)\n    return 1"),
    ("changes a time", L1, "import os\ndef main():\n    os.utime(SECRET)\n    return 1"),
    ("writes beside its box", L1,
     "import os\ndef main():\n    open(os.path.join(os.path.dirname(SECRET), 'n'), 'w')\n"
     "    return 1"),
    ("writes into the library", L1,
     "import os\ndef main():\n    open(os.path.dirname(os.__file__) + '/evil.py', 'w')\n"
     "    return 1"),
    ("lists the root", ("L1", "L3"), "import os\ndef main(): return len(os.listdir('/'))"),
    ("looks at processes", L1, "import os\ndef main(): return len(os.listdir('/proc'))"),
    ("environment of its keeper", L1,
     "import os\ndef main(): return open(f'/proc/{os.getppid()}/environ').read() != 0"),
    ("memory of its keeper", L1,
     "import os\ndef main(): return len(open(f'/proc/{os.getppid()}/maps').read())"),
    ("source of a judge", L1, "def main(): return len(open(JUDGE_SOURCE).read())"),
    ("imports a judge", (),
     "def main():\n    import environments.number.judge as judge\n    return 1"),
    ("imports the protocol", (), "def main():\n    import sandbox.protocol\n    return 1"),
    ("imports the search", (), "def main():\n    import elm.candidate\n    return 1"),
    ("finds the judge among modules", (),
     "import sys, gc\ndef main():\n"
     "    names = [m for m in sys.modules if 'judge' in m or 'artifact' in m]\n"
     "    texts = [o for o in gc.get_objects() if isinstance(o, dict) and 'EXPECTED_ANSWER' in o]\n"
     "    if not names and not texts: raise LookupError\n    return 1"),
    ("connects", L1,
     "import socket\ndef main():\n    socket.create_connection(('127.0.0.1', PORT), 1)\n"
     "    return 1"),
    ("datagram", L1,
     "import socket\ndef main():\n"
     "    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))\n"
     "    return 1"),
    ("listens", L1, "import socket\ndef main():\n    socket.create_server(('', 0))\n    return 1"),
    ("unix socket", L1,
     "import socket\ndef main():\n    socket.socket(socket.AF_UNIX).bind('\\0elm')\n    return 1"),
    ("netlink", L1,
     "import socket\ndef main():\n    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)\n"
     "    return 1"),
    ("forks", L1, "import os\ndef main():\n    if os.fork() == 0: os._exit(0)\n    return 1"),
    ("fork bomb", L1, "import os\ndef main():\n    while True: os.fork()"),
    ("daemonised grandchild", L1,
     "import os, time\ndef main():\n    if os.fork() == 0:\n        os.setsid()\n"
     "        if os.fork() == 0: time.sleep(100)\n        os._exit(0)\n    return 1"),
    ("executes", L1, "import os\ndef main():\n    os.execv('/bin/true', ['true'])"),
    ("shell", L1,
     "import subprocess\ndef main():\n    subprocess.run(['/bin/true'], check=True)\n    return 1"),
    ("clone3", L1, CALL + "def main():\n    call(435, 0, 0)\n    return 1"),
    ("new session", L1, "import os\ndef main():\n    os.setsid()\n    return 1"),
    ("kills its keeper", L1, "import os\ndef main():\n    os.kill(os.getppid(), 9)\n    return 1"),
    ("kills everybody", L1, "import os\ndef main():\n    os.kill(-1, 15)\n    return 1"),
    ("kills itself", L1, "import os\ndef main():\n    os.kill(os.getpid(), 9)"),
    ("signals the test", L1, "import os\ndef main():\n    os.kill(KEEPER, 0)\n    return 1"),
    ("signals by input", L1,
     "import fcntl, os\ndef main():\n    r, w = os.pipe()\n"
     "    fcntl.fcntl(r, fcntl.F_SETOWN, os.getppid())\n    return 1"),
    ("niceness of its keeper", L1,
     "import os\ndef main():\n    os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)\n    return 1"),
    ("processor of its keeper", L1,
     "import os\ndef main():\n    os.sched_setaffinity(os.getppid(), {0})\n    return 1"),
    ("limits of its keeper", L1,
     "import os, resource\ndef main():\n"
     "    resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (3, 3))\n    return 1"),
    ("raises its limits", L1,
     "import resource\ndef main():\n"
     "    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)\n    return 1"),
    ("clears its death signal", L1,
     "import ctypes\ndef main():\n"
     "    if ctypes.CDLL(None).prctl(1, 0) != 0: raise PermissionError\n    return 1"),
    ("becomes root", L1, "import os\ndef main():\n    os.setresuid(0, 0, 0)\n    return 1"),
    ("changes root", L1, "import os\ndef main():\n    os.chroot('.')\n    return 1"),
    ("device node", L1,
     "import os, stat\ndef main():\n    os.mknod('d', 0o600 | stat.S_IFCHR, 0x101)\n    return 1"),
    ("shared memory", L1, CALL + "def main():\n    call(29, 0, 4096, 0o1600)\n    return 1"),
    ("shared memory by name", L1,
     "from multiprocessing import shared_memory\ndef main():\n"
     "    shared_memory.SharedMemory('elm-leak', create=True, size=64)\n    return 1"),
    ("extended attribute", L1,
     "import os\ndef main():\n    os.setxattr('.', 'user.x', b'1')\n    return 1"),
]  # fmt: skip

# x86-64 numbers of calls that end the process.
DEADLY = {"ptrace": 101, "mount": 165, "unshare": 272, "bpf": 321, "io_uring_setup": 425,
          "process_vm_readv": 310, "keyctl": 250, "userfaultfd": 323}  # fmt: skip


@pytest.fixture(scope="module")
def secret(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("others") / "secret.txt"
    path.write_text("the password")
    return path


@pytest.fixture(scope="module")
def port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(("weak", "source"), [a[1:] for a in ATTACKS], ids=[a[0] for a in ATTACKS])
def test_attack_is_stopped(bench, secret, port, weak, source):
    if bench.slot.level in weak:
        pytest.skip(f"{bench.slot.level} does not claim to stop this")
    names = (
        f"SECRET = {str(secret)!r}\nPORT = {port}\nKEEPER = {os.getpid()}\n"
        f"JUDGE_SOURCE = {str(Path(__file__).with_name('slot_bench.py'))!r}\n"
    )
    before = secret.stat()
    found = bench.run(names + source)
    assert found.status in (Status.VIOLATION, Status.RUNTIME_ERROR), found
    after = secret.stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_nlink) == (
        before.st_mode,
        before.st_mtime_ns,
        before.st_nlink,
    )
    assert secret.read_text() == "the password"
    assert list(secret.parent.iterdir()) == [secret]
    bench.assert_fine()


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64")
@pytest.mark.parametrize("name", DEADLY)
def test_calls_of_attacks_end_the_program(bench, name):
    if bench.slot.level == "L1":
        pytest.skip("L1 has no filter")
    source = (
        f"{CALL}\ndef main():\n    try: call({DEADLY[name]}, 0, 0, 0)\n    except OSError: pass\n"
    )
    found = bench.run(source + "    return 1")
    assert found.status is Status.VIOLATION
    assert "only an attack" in found.detail
    bench.assert_fine()


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x32 is an ABI of x86-64")
def test_second_abi_is_shut(bench):
    if bench.slot.level == "L1":
        pytest.skip("L1 has no filter")
    found = bench.run(CALL + "def main(): return call(0x40000000 + 39)")
    assert found.status is Status.VIOLATION


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
    import msgspec
    from slot_bench import LIMITS, Bench

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
