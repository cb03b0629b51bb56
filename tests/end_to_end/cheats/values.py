"""Priorities that are no ordinary numbers."""

from cheats.cheat import EITHER, FAILED, HONEST, REFUSED, Subject

subject = Subject(top="import numpy as np")
add = subject.add

add("no number", "return float('nan')", FAILED)
add("no number for one vector", "return float('nan') if not any(args[0]) else 0.0", FAILED)
add("no number of numpy", "return np.float64('nan')", FAILED)
add("infinity for all", "return float('inf')", HONEST)
add("a number beyond all", "return -1e999", HONEST)
add("an integer of 401 digits", "return 10**400", FAILED)
add("a text that is a number", "return '1e9'", EITHER)
add("an imaginary number", "return 1j", FAILED)
add("nothing", "return None", FAILED)
add("a list", "return [1.0, 2.0]", FAILED)
add("an array of many numbers", "return np.ones(7)", FAILED)
add(
    "a float that is less and more than any other",
    "return Liar(1.0)",
    HONEST,
    top="""
    class Liar(float):
        def __lt__(self, other): return True
        __gt__ = __eq__ = __le__ = __ge__ = __lt__
        __hash__ = float.__hash__
        def __neg__(self): return Liar(9.0)
        def __float__(self): return 1e9
    """,
)
add(
    "an integer that lies",
    "return Liar(1)",
    HONEST,
    top="""
    class Liar(int):
        def __float__(self): return 1e9
        def __index__(self): return 10**9
        def __eq__(self, other): return True
        __hash__ = int.__hash__
    """,
)
add(
    "what forges when it becomes a float",
    "return Trap()",
    EITHER,
    top="""
    class Trap:
        def __float__(self):
            sys._getframe(1).f_globals["evaluate"] = None
            for frame in (sys._getframe(1), sys._getframe(1).f_back):
                frame.f_locals.get("vectors", np.zeros(1))[:] = 1
            return 0.0
    """,
)
add(
    "an array that is another one each time",
    "return np.zeros(()).view(Liar)",
    EITHER,
    top="""
    class Liar(np.ndarray):
        def __array_finalize__(self, other): self.flags.writeable = True
        def __float__(self): return 1e9
        def item(self): return 10**9
    """,
)
add("the same array as answer and as argument", "bins = args[1]; bins[:] = 10**6; return bins",
    EITHER, specification="bin_packing")  # fmt: skip
add("more numbers than there are bins", "return np.arange(10**4)", FAILED,
    specification="bin_packing")  # fmt: skip
add("no numbers for bins", "return args[1] * np.nan", FAILED, specification="bin_packing")
add(
    "makes its caller's bins wider",
    """
    frame = sys._getframe(1)
    frame.f_locals["bins"][:] = 10**6
    return np.arange(len(args[1]))[::-1]
    """,
    REFUSED,
    specification="bin_packing",
)
add(
    "shrinks the items that are still to come",
    """
    import gc
    frame = sys._getframe(1)
    items = frame.f_locals["items"]
    import ctypes
    for place in range(1, len(items)):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(1))
        ctypes.c_void_p.from_address(id(items) + 24 + 8 * place).value = id(1)
    return -args[1]
    """,
    REFUSED,
    specification="bin_packing",
)
add(
    "puts every item into one bin",
    """
    places = sys._getframe(1).f_locals["places"]
    places[:] = [0] * len(places)
    return -args[1]
    """,
    REFUSED,
    specification="bin_packing",
)
