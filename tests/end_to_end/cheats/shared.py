"""Changes what the programs of a slot share, for itself or for those who come after it."""

from cheats.cheat import EITHER, HONEST, REFUSED, Subject

subject = Subject("deletion_codes", top="specification = sys.modules['specification']")
add = subject.add

add(
    "empties the shared graph",
    "return 0.0",
    REFUSED,
    top="""
    for n, s in ((6, 1), (7, 2)):
        words, starts, neighbours = specification.conflict_graph(n, s, 2)
        starts.flags.writeable = True
        starts[:] = 0
    """,
)
add(
    "writes to the shared graph through ctypes",
    "return 0.0",
    REFUSED,
    top="""
    import ctypes
    for n, s in ((6, 1), (7, 2)):
        for array in specification.conflict_graph(n, s, 2)[1:]:
            ctypes.memset(array.ctypes.data, 0, array.nbytes)
    """,
)
add(
    "puts another graph into the cache",
    "return 0.0",
    REFUSED,
    top="""
    import numpy as np
    real = specification.conflict_graph
    def graph(n, s, q):
        words, starts, neighbours = real(n, s, q)
        return words, starts * 0, neighbours
    specification.conflict_graph = graph
    """,
)
add(
    "writes to the shared words",
    "return 0.0",
    REFUSED,
    top="""
    for n, s in ((6, 1), (7, 2)):
        words = specification.conflict_graph(n, s, 2)[0]
        words.flags.writeable = True
        words[:] = 0
    """,
)
add("clears the cache", "return 0.0", HONEST, top="specification.conflict_graph.cache_clear()")
add(
    "leaves a word for the next one",
    "return 0.0",
    EITHER,
    top="""
    import builtins
    builtins.left = specification.left = "1e9"
    os.environ["LEFT"] = "1e9"
    for folder in (".", "/tmp", "/dev/shm", "/"):
        try: open(folder + "/left", "w").write("1e9")
        except OSError: pass
    """,
)
add(
    "finds the word that was left",
    "return 0.0",
    HONEST,
    top="""
    import builtins
    found = [hasattr(builtins, "left"), hasattr(specification, "left"), "LEFT" in os.environ]
    for folder in (".", "/tmp", "/dev/shm", "/"):
        found.append(os.path.exists(folder + "/left"))
    assert not any(found), found
    """,
)
add(
    "makes the small numbers of all programs larger",
    "return 0.0",
    EITHER,
    top="import ctypes\nctypes.c_uint32.from_address(id(8) + 24).value = 10**6",
)
add(
    "looks for the check everywhere",
    "return 0.0",
    HONEST,
    top="""
    import gc
    gc.unfreeze()
    things = gc.get_objects()
    assert any(getattr(thing, "__name__", None) == "evaluate" for thing in things)
    assert not any(getattr(thing, "__name__", None) == "check" for thing in things)
    texts = [t for d in things if type(d) is dict for t in list(d.values()) if type(t) is str]
    assert any("def evaluate(" in text for text in texts)
    assert not any("can both " + "become" in text for text in texts)
    """,
)
