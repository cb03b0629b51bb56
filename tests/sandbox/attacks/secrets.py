"""What the machine, its keeper and the judge know."""

from attacks.attack import Subject

# fmt: off
subject = Subject("secrets")
add = subject.add

for name, body in (
    ("looks at processes", "os.listdir('/proc')"),
    ("environment of its keeper", "open(f'/proc/{os.getppid()}/environ').read()"),
    ("environment of the test", "open(f'/proc/{KEEPER}/environ').read()"),
    ("command line of the test", "open(f'/proc/{KEEPER}/cmdline').read()"),
    ("its own process file", "open('/proc/self/status').read()"),
    ("mounts", "open('/proc/self/mountinfo').read()"),
    ("source of a judge", "open(JUDGE_SOURCE).read()"),
    ("the kernel's symbols", "open('/proc/kallsyms').read()"),
    ("open sockets of the machine", "open('/proc/net/unix').read()"),
):
    guarded = "kallsyms" in body or "environment of" in name  # by the kernel's own rules too
    add(name, "landlock", body, alone="" if guarded else "L2")
add("root of the file system", "landlock", "open('/root/.ssh/id_rsa').read()")
add("keys of the kernel", "seccomp", "import ctypes; ctypes.CDLL(None).syscall(250, 0, 0)",
    "violation", machine="x86_64")
for name, module in (
    ("imports a judge", "environments.attacked.judge"),
    ("imports the protocol", "sandbox.protocol"),
    ("imports the process of a judge", "sandbox.judge"),
    ("imports the search", "elm.candidate"),
    ("imports another environment", "environments.base"),
):
    add(name, "judge", f"import {module}", "runtime_error")
add("finds the judge among modules", "judge",
    "import gc\nnames = [m for m in sys.modules if 'judge' in m]\n"
    "texts = [o for o in gc.get_objects() if isinstance(o, dict) and 'EXPECTED_ANSWER' in o]\n"
    "if not names and not texts: raise LookupError", "runtime_error")
add("finds the keeper's connection", "fork",
    "import socket\nfor fd in range(3, 1024):\n"
    "    try: socket.socket(fileno=os.dup(fd)).send(b'{}'); return 1\n"
    "    except OSError: pass\nraise LookupError", "runtime_error")
add("takes more files than it was given", "fork",
    "n = 0\nfor fd in range(256):\n    try: os.fstat(fd); n += 1\n    except OSError: pass\n"
    "if n <= 4: raise LookupError", "runtime_error")
add("reads its environment", "fork",
    "if sorted(os.environ) == ['HOME', 'TMPDIR']: raise LookupError", "runtime_error")
