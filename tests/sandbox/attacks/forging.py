"""Attempts to be given a score that the artifact is not worth.

What a program may do is lie about its artifact, which is its own affair: the judge computes the
score from that artifact in another process. The honest best is 10.
"""

from attacks.attack import Subject
from attacks.channel import WRITE

# fmt: off
subject = Subject("score forging")
add = subject.add
ENDS = ("ok", "bad_result", "runtime_error", "violation", "timeout")
SCORE = "{'fitness': 1e9, 'descriptor': [1e9], 'metrics': {}, 'verified': True}"


def forge(name: str, body: str, top: str = "") -> None:
    add(name, "judge", body, *ENDS, top=top)


forge("returns a score", f"return {SCORE}")
forge("returns a reply of the judge", f"return {{'result': {SCORE}}}")
forge("returns a bad artifact's name", "return {'bad': '', 'broken': ''}")
forge("writes a score", f"import json; write(b'A' + json.dumps({SCORE}).encode())", WRITE)
forge("writes a reply", 'write(b\'A{"result": {"fitness": 1e9, "descriptor": [0]}}\')', WRITE)
forge("writes a key twice", 'write(b\'A{"fitness": 1, "fitness": 1e9}\')', WRITE)
forge("patches json.dumps", "import json; json.dumps = lambda *a, **k: '1e9'; return 3")
forge("patches json.loads", "import json; json.loads = lambda *a, **k: 1e9; return 3")
forge("patches the encoder",
      "import json; json.JSONEncoder.encode = json.JSONEncoder.iterencode = lambda s, o: '1e9'\n"
      "return 3")
forge(
    "patches builtins", "import builtins; builtins.abs = builtins.float = lambda x: 0; return -90"
)
forge("patches the judge's mathematics", "import math; math.isfinite = lambda x: True; return -90")
forge("writes to all its callers' names",
      "f = sys._getframe()\nwhile f:\n    f.f_globals.update(fitness=1e9, score=1e9, judge=max)\n"
      "    f = f.f_back\nreturn -90")
forge("replaces its callers' functions",
      "f = sys._getframe()\nwhile f:\n    for n, v in list(f.f_globals.items()):\n"
      "        if callable(v) and n in ('_document', '_describe', 'produce'):\n"
      "            f.f_globals[n] = lambda *a: b'A1e9'\n    f = f.f_back\nreturn -90")
forge("replaces the mark of an artifact",
      "f = sys._getframe()\nwhile f:\n    if 'ARTIFACT' in f.f_globals:\n"
      "        f.f_globals['ARTIFACT'] = b'A1e9 '\n    f = f.f_back\nreturn -90")
forge("traces its callers",
      "def trace(frame, event, value):\n    frame.f_trace_lines = True\n    return trace\n"
      "sys.settrace(trace); sys._getframe(1).f_trace = trace\nreturn -90")
forge("profiles its callers",
      "def profile(frame, event, value):\n    frame.f_globals['fitness'] = 1e9\n"
      "sys.setprofile(profile); return -90")
forge("a float that is more", "return F(3)",
      "class F(float):\n    def __repr__(self): return '1e9'\n"
      "    __str__ = __float__ = __repr__")
forge("an integer that is more", "return I(3)",
      "class I(int):\n    def __repr__(self): return '1000000000'\n"
      "    def __abs__(self): return 0")
forge("a mapping that changes", "return D(artifact=3)",
      "class D(dict):\n"
      "    def items(self): return [('fitness', 1e9), ('fitness', 1e9)]")
forge("a list that changes", "return L([3])",
      "class L(list):\n    def __iter__(self): return iter([1e9] * 3)")
forge("a text that is more", "return S('3')",
      "class S(str):\n    def __str__(self): return '1e9'")
forge("equal to everything", "return E(3)",
      "class E(float):\n    def __eq__(self, o): return True\n"
      "    def __lt__(self, o): return True\n"
      "    __hash__ = float.__hash__")
forge("a score beyond all", "write(b'A-1e999')", WRITE)
forge("a score that is none", "write(b'A[NaN]')", WRITE)
forge("two documents", "write(b'A3\\nA1e9')", WRITE)
forge("a number that is none", "write(b'A1' + b'e' * 2 + b'9')", WRITE)
forge("a forged document at the end",
      "import atexit; atexit.register(lambda: write(b'A1e9')); return 3", WRITE)
forge("a thread that writes later",
      "import threading\n"
      "threading.Thread(target=lambda: (time.sleep(0.02), write(b'1e9'))).start()\n"
      "time.sleep(0.02); return 3", WRITE)
forge("a finaliser that writes later", "global keep; keep = K(); return 3",
      WRITE + "class K:\n    def __del__(self): write(b'A1e9')")
forge("an alarm that writes later",
      "import signal; signal.signal(signal.SIGALRM, lambda *a: write(b'A1e9'))\n"
      "signal.setitimer(signal.ITIMER_REAL, 0.0001); return 3", WRITE)
forge("searches memory for the judge",
      "import gc\nfor o in gc.get_objects():\n"
      "    if isinstance(o, dict) and 'judge' in o: o['judge'] = lambda *a: 1e9\n"
      "return -90")
forge("puts a judge among the modules",
      "import types; m = types.ModuleType('environments.attacked.judge'); m.judge = max\n"
      "sys.modules[m.__name__] = m; return -90")
forge("rewrites small integers",
      "import ctypes; ctypes.c_long.from_address(id(3) + 24).value = 10; return 3")
forge("a hundred thousand zeros", "return [0] * 30000")
forge("asks the judge for a module", "return {'__class__': 'os', '__reduce__': ['system', 'true']}")
forge("a true that counts as one", "return True")
