"""Ways to end that a careless keeper takes for something else, or does not survive."""

from attacks.attack import Subject

# fmt: off
subject = Subject("exits and faults")
add = subject.add

for name, body in (
    ("leaves with success", "os._exit(0)"),
    ("leaves with failure", "os._exit(77)"),
    ("exits", "sys.exit(0)"),
    ("aborts", "os.abort()"),
    ("segmentation fault", "import ctypes; ctypes.string_at(8)"),
    ("jumps to nowhere", "import ctypes; ctypes.CFUNCTYPE(None)(8)()"),
    ("breaks the interpreter", "import ctypes; ctypes.memset(id(int), 0, 400); int('3')"),
    ("divides by zero in a signal's way", "import signal; signal.raise_signal(signal.SIGFPE)"),
    ("says it was told to end", "import signal; signal.raise_signal(signal.SIGTERM)"),
    ("interrupts itself", "raise KeyboardInterrupt"),
    ("never ending recursion", "return main()"),
    ("recursion without a limit",
     "sys.setrecursionlimit(10**9)\ndef f(): return repr(f) + f()\nf()"),
    ("closes everything", "os.closerange(0, 64)"),
    ("an exception that fights",
     "class E(Exception):\n    def __str__(self): raise self\nraise E"),
    ("an exception that leaves",
     "class E(Exception):\n    def __str__(self): os._exit(0)\nraise E"),
    ("does not parse", "exec('(')"),
    ("throws away its streams", "sys.stdout = sys.stderr = None; raise ValueError"),
    ("hides why it failed", "raise type('OK', (BaseException,), {})"),
):
    add(name, "fork", body, "runtime_error", "memory", "timeout")
add("leaves when the interpreter ends", "fork",
    "import atexit; atexit.register(os._exit, 9); return 2", "ok")
add("stops itself", "watcher", "import signal; os.kill(os.getpid(), signal.SIGSTOP)", "timeout")
