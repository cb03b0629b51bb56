"""Time, memory, room and output."""

from attacks.attack import Subject

# fmt: off
subject = Subject("resources")
add = subject.add

add("burns", "watcher",
    "end = time.process_time() + 1.0\nwhile time.process_time() < end: pass\n"
    "print('THROUGH', flush=True)", "timeout", alone="L3")
add("sleeps", "watcher", "time.sleep(2)", "timeout", alone="L3")
add("burns in threads", "watcher",
    "import threading\ndef spin():\n    while True: pass\n"
    "for _ in range(4): threading.Thread(target=spin).start()\nspin()", "timeout")
add("a regular expression that never ends", "watcher",
    "import re; re.match('(a+)+$', 'a' * 40 + 'b')", "timeout")
add("ignores every signal and burns", "watcher",
    "import signal\nfor n in range(1, 64):\n    try: signal.signal(n, signal.SIG_IGN)\n"
    "    except (OSError, ValueError): pass\nwhile True: pass", "timeout")
add("prints without end", "watcher", "while True: print('x' * 10000)", "output_limit")
add("prints three megabytes", "watcher", "for _ in range(300): print('x' * 10000)",
    "output_limit", alone="L3")
add("a long artifact", "watcher",
    "os.write(RESULT(), b'A' + b'1' * 1_000_000); print('THROUGH', flush=True)",
    "output_limit", "bad_result", "runtime_error", alone="L3",
    top="def RESULT(): return next(fd for fd in range(3, 64) if is_open(fd))\n"
    "def is_open(fd):\n    try: os.fstat(fd); return True\n"
    "    except OSError: return False")

for name, body in (
    ("a large list", "x = [0] * (150 << 17)"),
    ("large bytes", "x = bytearray(160 << 20)"),
    ("a large map", "import mmap; x = mmap.mmap(-1, 160 << 20)"),
    ("large shared memory", "import mmap; x = mmap.mmap(-1, 160 << 20, flags=mmap.MAP_SHARED)"),
):
    add(name, "rlimits", body, "memory", alone="L3")
add("many small pieces", "rlimits", "x = [bytearray(1 << 20) for _ in range(300)]", "memory")
add("memory in many threads", "rlimits",
    "import threading\nthreading.stack_size(32 << 20)\n"
    "for _ in range(10): threading.Thread(target=time.sleep, args=(0.2,)).start()",
    "runtime_error", "memory", alone="L3")
add("open files", "rlimits", "hoard = [open(str(n), 'w') for n in range(100)]", "runtime_error",
    alone="L3")
add("one large file", "rlimits", "open('f', 'wb').write(bytes(5_000_000))", "runtime_error",
    alone="L3")
add("one long sparse file", "rlimits", "open('f', 'wb').truncate(1 << 30)", "runtime_error")
add("raises its limits", "seccomp",
    "import resource\n"
    "resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)")
add("a huge number", "watcher", "x = 10 ** 10 ** 8", "timeout")
add("many files", "namespaces",
    "n = 0\nwhile n < 40:\n    n += 1\n    open(str(n), 'wb').write(bytes(900_000))",
    "runtime_error", "output_limit", "timeout")
add("deep folders", "fork",
    "for _ in range(1500):\n    os.mkdir('d' * 9); open('f', 'w').close(); os.chdir('d' * 9)\n"
    "os.mkdir('locked', 0)\nraise OSError", "runtime_error", "timeout", "output_limit")
add("locks memory", "rlimits", "import ctypes\n"
    "if ctypes.CDLL(None).mlockall(3) != 0: raise PermissionError")
