"""Reaches for the evaluator: its globals, its local variables, its module, its settings."""

from cheats.cheat import CLAIMED, EITHER, FAILED, HONEST, REFUSED, Subject

# All vectors of length n, far more than any cap set has; and one that is valid.
subject = Subject(
    top="""
    import itertools
    def everything(n):
        return [list(v) for v in itertools.product(range(3), repeat=n)]
    def forged(n):
        return {"score": 1e9, "hash": "forged", "solution": everything(n)}
    def claimed(n):
        return {"score": 1e9, "hash": "forged", "solution": [[0] * n, [1] * n]}
    def frames():
        frame = sys._getframe(1)
        while frame:
            yield frame
            frame = frame.f_back
    OUTDATED = "this cheat finds nothing to lay its hands on: bring it up to date"
    def inputs():
        import gc
        gc.unfreeze()
        ours = "environments.specification."
        found = [vars(thing) for thing in gc.get_objects()
                 if str(type(thing).__module__).startswith(ours) and hasattr(thing, "__dict__")]
        found = [attributes["inputs"] for attributes in found if "inputs" in attributes]
        assert found, OUTDATED
        return found
    """
)
add = subject.add

add(
    "replaces evaluate in its caller's globals",
    "sys._getframe(1).f_back.f_globals['evaluate'] = forged",
    EITHER,
)
add(
    "replaces every function of every caller by the forger",
    """
    for frame in frames():
        for name, value in list(frame.f_globals.items()):
            if callable(value) and name in ("evaluate", "entry", "check", "solve"):
                frame.f_globals[name] = forged
    """,
    HONEST,  # it is being executed already
)
add(
    "replaces evaluate before it is called",
    "return 0.0",
    REFUSED,
    top="sys.modules['specification'].evaluate = forged",
)
add(
    "replaces evaluate by one that only boasts",
    "return 0.0",
    CLAIMED,
    top="sys.modules['specification'].evaluate = claimed",
)
PRODUCER = """
producer = next(f.f_globals for f in frames() if "produce" in f.f_globals)
name = next((name for name in ("read", "_read") if name in producer), None)
assert name, OUTDATED
producer[name] = lambda *a, real=producer[name], **k: {{**real(*a, **k), {}}}
"""
add(
    "reaches the producer through its callers, and lets it boast",
    "return 0.0",
    CLAIMED,
    top=PRODUCER.format("'score': 1e9"),
)
add(
    "boasts in values that are named like the score",
    "return 0.0",
    HONEST,
    top=PRODUCER.format("'values': {'score': 1e9, 'fitness': 1e9, 'claimed': 1e9, '0:score': 1e9}"),
)
add(
    "names the input whose answer is easier",
    "return 0.0",
    REFUSED,
    top=PRODUCER.format("'input': 0"),
)
add(
    "writes to the local variables of evaluate",
    """
    import ctypes
    frame = sys._getframe(1).f_back
    if "vectors" in frame.f_locals:
        frame.f_locals.update(n=2, powers=frame.f_locals["powers"] * 0)
        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
    """,
    REFUSED,
)
add(
    "traces evaluate and changes its solution on the way out",
    """
    def trace(frame, event, value):
        if "solution" in frame.f_locals:
            frame.f_locals["solution"] = everything(args[1])
        return trace
    sys.settrace(trace)
    for frame in frames():
        frame.f_trace = trace
    """,
    REFUSED,
)
add(
    "traces evaluate and forgets what is ruled out",
    """
    def trace(frame, event, value):
        if "allowed" in frame.f_locals:
            frame.f_locals["allowed"][:] = True
        return trace
    sys.settrace(trace)
    for frame in frames():
        frame.f_trace = trace
    """,
    REFUSED,
)
add(
    "overwrites the vectors that it is asked about",
    """
    for frame in frames():
        if "vectors" in frame.f_locals:
            frame.f_locals["vectors"][:] = 0
    """,
    REFUSED,
)
add(
    "finds results by the garbage collector",
    """
    import gc
    gc.unfreeze()
    for thing in gc.get_objects():
        if type(thing) is dict and "solution" in thing:
            thing["score"] = 1e9
    """,
    HONEST,
)
add(
    "swaps the inputs for easy ones",
    """
    for some in inputs():
        some[:] = [3, 3]
    """,
    REFUSED,
)
add(
    "swaps the inputs for hard ones before the first is read",
    "return 0.0",
    REFUSED,
    top="""
    for some in inputs():
        some[:] = [6, 6]
    """,
)
add(
    "turns the inputs around",
    "return 0.0",
    REFUSED,
    top="""
    for some in inputs():
        some.reverse()
    """,
)
SETTINGS = """
settings = [frame.f_locals.get("settings") for frame in frames()]
settings = [one for one in settings if type(one) is dict and "portions" in one]
assert settings, OUTDATED
for one in settings:
    one.update({})
"""
add("answers the easy input alone", "return 0.0", REFUSED, top=SETTINGS.format("portions=[[0]]"))
add("says that nobody checks", "return 0.0", REFUSED, top=SETTINGS.format("checked=False"))
add(
    "lets inputs fail",
    "if args[1] == 4:\n    raise ValueError('hard')",
    REFUSED,
    top=SETTINGS.format("tolerant=True"),
)
add(
    "calls itself the check",
    """
    sys.modules["specification"].check = forged
    for frame in frames():
        frame.f_globals["check"] = forged
    """,
    HONEST,
    top="def check(params, solution):\n    return 1e9",
)
add(
    "puts a judge among the modules",
    """
    import types
    module = types.ModuleType("environments.specification.judge")
    module.judge = lambda *a: {"fitness": 1e9, "descriptor": [1.0, 1.0], "scores": {"0": 1e9}}
    sys.modules[module.__name__] = module
    """,
    HONEST,
)
add("defines an evaluate of its own", "return 0.0", HONEST,
    top="evaluate = entry = solve = claimed")  # fmt: skip
add(
    "raises half way with a result in its hands",
    """
    if args[1] == 4:
        error = ValueError("half")
        error.value = forged(4)
        raise error
    """,
    FAILED,
)
add("ends the interpreter half way", "if args[1] == 4:\n    raise SystemExit(0)", FAILED)
