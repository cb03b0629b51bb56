"""Replaces what the evaluator calls: builtins, numpy, json, hashes."""

from cheats.cheat import CLAIMED, EITHER, FAILED, HONEST, REFUSED, Subject

subject = Subject(top="import builtins, hashlib, json, math\nimport numpy as np")
add = subject.add

add("patches len", "return 0.0", EITHER, top="builtins.len = lambda thing: 10**9")
add(
    "patches len for lists of vectors",
    "return 0.0",
    CLAIMED,
    top="""
    real = len
    builtins.len = lambda x: 10**9 if type(x) is list and x and type(x[0]) is list else real(x)
    """,
)
add(
    "patches sum, max and sorted",
    "return 0.0",
    EITHER,
    top="builtins.sum = builtins.max = builtins.sorted = lambda *a, **k: [10**9]",
)
add(
    "patches float and int",
    "return 0.0",
    EITHER,
    top="builtins.float = builtins.int = lambda x=0: 1e9",
)
add("patches all builtins away", "vars(builtins).clear()", FAILED)
add(
    "patches isinstance and type",
    "return 0.0",
    EITHER,
    top="builtins.isinstance = lambda *a: True",
)
add(
    "lets argsort name an index again and again",
    "return 0.0",
    EITHER,
    top="np.argsort = lambda values, **k: np.zeros(10**4, dtype=int)",
)
add(
    "lets ones make an array that forgets",
    "return 0.0",
    REFUSED,
    top="""
    class Forgets(np.ndarray):
        def __setitem__(self, key, value):
            pass
    real = np.ones
    np.ones = lambda *a, **k: real(*a, **k).view(Forgets)
    """,
)
add(
    "lets arrays repeat a vector",
    "return 0.0",
    REFUSED,
    top="""
    real = np.array
    class Repeats(np.ndarray):
        def tolist(self):
            found = np.asarray(self).tolist()
            whole = type(found[0]) is not list or len(found) in (27, 81)
            return found if whole else found + found[:1]
    np.array = lambda *a, **k: real(*a, **k).view(Repeats)
    """,
)
add(
    "patches isnan and returns what is no number",
    "return math.nan",
    EITHER,
    top="np.isnan = lambda values: np.zeros(3, dtype=bool)",
)
FORGED = '{"answers": [{"input": 0, "score": 1e9, "hash": null, "solution": %s}, ' \
         '{"input": 1, "score": 1e9, "hash": null, "solution": %s}]}'  # fmt: skip
add(
    "patches json.dumps with a forged solution",
    "return 0.0",
    REFUSED,
    top=f"json.dumps = lambda *a, **k: {FORGED % ([[0, 0, 0]] * 9, [[0, 0, 0, 0]] * 20)!r}",
)
add(
    "patches json.dumps with a boast",
    "return 0.0",
    CLAIMED,
    top=f"""
    real = json.dumps
    def dumps(thing, **k):
        if type(thing) is dict and "answers" in thing:
            return {FORGED % ([[0, 0, 0]], [[0, 0, 0, 0]])!r}
        return real(thing, **k)
    json.dumps = dumps
    """,
)
add(
    "patches the encoder",
    "return 0.0",
    REFUSED,
    top="json.JSONEncoder.encode = lambda self, thing: '1e9'",
)
add(
    "patches json.loads",
    "return 0.0",
    EITHER,
    top="json.loads = lambda *a, **k: 1e9",
)
add(
    "claims the hash of another",
    "return 0.0",
    HONEST,
    top="""
    class Hash:
        def __init__(self, data=b""): pass
        def hexdigest(self): return "0" * 64
    hashlib.sha256 = Hash
    """,
)
