"""Other processes: starting, finding, signalling, changing."""

from attacks.attack import CALL, Subject

# fmt: off
subject = Subject("processes")
add = subject.add

for name, body in (
    ("forks", "p = os.fork()\nif p == 0: os._exit(0)\nos.waitpid(p, 0)"),
    ("forks with a terminal's help", "import ctypes\np = ctypes.CDLL(None).fork()\n"
     "if p == 0: os._exit(0)\nif p < 0: raise PermissionError\nos.waitpid(p, 0)"),
    ("becomes hard to kill", "os.setpriority(os.PRIO_PROCESS, 0, 5)"),
    ("binds itself to a processor", "os.sched_setaffinity(0, os.sched_getaffinity(0))"),
    ("takes another scheduler", "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))"),
    ("clears its death signal",
     "import ctypes\nif ctypes.CDLL(None).prctl(1, 0) != 0: raise PermissionError"),
    ("becomes a keeper of orphans",
     "import ctypes\nif ctypes.CDLL(None).prctl(36, 1) != 0: raise PermissionError"),
    ("takes hold of a process", "os.pidfd_open(os.getpid())"),
    ("sends a signal by descriptor",
     "import fcntl; r, w = os.pipe(); fcntl.fcntl(r, fcntl.F_SETOWN, os.getpid())"),
    ("changes its personality",
     "import ctypes\nif ctypes.CDLL(None).personality(0xffffffff) < 0: raise PermissionError"),
):
    add(name, "seccomp", body, alone="L3")

for name, body in (
    ("executes", "os.execv('/bin/true', ['true'])"),
    ("spawns", "os.posix_spawn('/bin/true', ['true'], {})"),
    ("shell", "import subprocess; subprocess.run(['/bin/true'], check=True)"),
    ("shell by libc", "import ctypes\nif ctypes.CDLL(None).system(b'true'): raise PermissionError"),
    ("new session", "os.setsid()"),
    ("new group", "os.setpgid(0, 0)"),
    ("kills its keeper", "os.kill(os.getppid(), 9)"),
    ("stops its keeper", "os.kill(os.getppid(), 19)"),
    ("kills everybody", "os.kill(-1, 15)"),
    ("signals the test", "os.kill(KEEPER, 0)"),
    ("niceness of its keeper", "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)"),
    ("processor of its keeper", "os.sched_setaffinity(os.getppid(), {0})"),
    ("becomes root", "os.setresuid(0, 0, 0)"),
    ("becomes another group", "os.setgroups([0])"),
    ("kills itself unseen", "os.kill(os.getpid(), 9)"),
):
    add(name, "seccomp", body)
add("limits of its keeper", "seccomp",
    "import resource; resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (3, 3))")
add("pool of processes", "seccomp",
    "from concurrent.futures import ProcessPoolExecutor\n"
    "with ProcessPoolExecutor(1) as pool: pool.submit(abs, 1).result()")
add("clone3", "seccomp", "call(435, 0, 0)", top=CALL)
add("fork bomb", "seccomp", "for _ in range(100): os.fork()")
add("daemonised grandchild", "seccomp",
    "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(100)\n"
    "    os._exit(0)")

for name, body in (
    ("finds another process by its group", "os.getpgid(KEEPER)"),
    ("finds another process by its session", "os.getsid(KEEPER)"),
    ("finds another process by its niceness", "os.getpriority(os.PRIO_PROCESS, KEEPER)"),
    ("finds another process by its processors", "os.sched_getaffinity(KEEPER)"),
    ("finds another process by its scheduler", "os.sched_getscheduler(KEEPER)"),
):
    add(name, "namespaces", body, alone="L3")

# Where an environment allows children: their number, and what they use, is the program's.
add("more children than allowed", "watcher",
    "for _ in range(3):\n    if os.fork() == 0: time.sleep(2); os._exit(0)\n"
    "time.sleep(0.6); print('THROUGH', flush=True)",
    "violation", alone="L3", processes=2)
add("fork bomb where forks are allowed", "watcher", "while True: os.fork()",
    "violation", "timeout", processes=2)
add("orphans beyond the number", "watcher",
    "for _ in range(3):\n    if os.fork() == 0:\n        if os.fork() == 0: time.sleep(2)\n"
    "        os._exit(0)\n    os.wait()\ntime.sleep(0.6); print('THROUGH', flush=True)",
    "violation", alone="L3", processes=2)
add("lets a child burn", "watcher",
    "if os.fork() == 0:\n    while True: pass\ntime.sleep(20)",
    "timeout", processes=2)
add("lets forgotten children burn in turn", "watcher",
    "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    "while True:\n    if os.fork() == 0:\n        end = time.process_time() + 0.1\n"
    "        while time.process_time() < end: pass\n        os._exit(0)\n"
    "    try: os.wait()\n    except ChildProcessError: pass",
    "timeout", processes=2)
add("children that leave its session", "seccomp",
    "p = os.fork()\nif p == 0:\n    try: os.setsid()\n    except PermissionError: os._exit(1)\n"
    "    os._exit(0)\nif os.waitpid(p, 0)[1]: raise PermissionError",
    alone="L3", processes=2)
add("children that outlive it", "fork",
    "for _ in range(2):\n    if os.fork() == 0: time.sleep(100)\nreturn 2", "ok",
    processes=2)
