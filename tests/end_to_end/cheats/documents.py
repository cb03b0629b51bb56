"""Writes the result itself, or ends before anybody else can."""

from cheats.cheat import CLAIMED, EITHER, FAILED, HONEST, REFUSED, Subject

subject = Subject(
    top="""
    import json
    def write(text):
        for fd in range(3, 64):
            try: os.write(fd, text)
            except OSError: pass
    def document(*answers, **more):
        names = "input", "score", "hash", "solution"
        found = [dict(zip(names, answer)) for answer in answers]
        return b"A" + json.dumps({"answers": found, **more}).encode()
    ONE, TWO = (0, 1e9, None, [[0, 0, 0]]), (1, 1e9, None, [[0, 0, 0, 0]])
    def cube(n):
        return [[i // 3**k % 3 for k in range(n)] for i in range(3**n)]
    """
)
add = subject.add


def forge(name: str, text: str, end: str = REFUSED) -> None:
    add(name, f"write({text}); os._exit(0)", end)


forge("claims a million for one vector", "document(ONE, TWO)", CLAIMED)
forge("calls everything a cap set", "document((0, 27, None, cube(3)), (1, 81, None, cube(4)))")
forge("answers one input", "document(ONE)")
forge("answers one input twice", "document(ONE, ONE)")
forge("answers an input that nobody asked", "document(ONE, (2, 1e9, None, [[0] * 5]))")
forge("answers true instead of input one", "document(ONE, (True, 1e9, None, [[0] * 4]))")
forge("answers an input below zero", "document(ONE, (-1, 1e9, None, [[0] * 4]))")
forge("swaps the solutions", "document((1, 1, None, ONE[3]), (0, 1, None, TWO[3]))")
forge("names a vector a hundred times", "document(ONE, (1, 100, None, [[0, 0, 0, 0]] * 100))")
forge("writes true for one",
      "document(ONE, (1, 1, None, [[0, 0, 0, 1], [False, False, False, True]]))")  # fmt: skip
forge("writes 1.0 for one", "document(ONE, (1, 1, None, [[0, 0, 0, 1], [0, 0, 0, 1.0]]))")
forge("writes numbers of its own", "document(ONE, (1, 1, None, [[i, 0, 0, 0] for i in range(99)]))")
forge("writes longer vectors", "document(ONE, (1, 1, None, [[0, 0, 0, 0, i] for i in range(3)]))")
forge("writes no vectors", "document(ONE, (1, 1, None, 'xxxxxxxx'))")
forge("writes a mapping of vectors", "document(ONE, (1, 1, None, {'0': [0, 0, 0, 0]}))")
forge("writes an empty set", "document((0, 9, None, []), (1, 9, None, []))", EITHER)
forge("claims what is no number", 'document(ONE, TWO).replace(b"1000000000.0", b"NaN")')
forge("claims what is beyond all", 'document(ONE, TWO).replace(b"1000000000.0", b"1e999")')
forge("claims a text", "document(ONE, (1, '1e9', None, TWO[3]))")
forge("adds a verdict", "document(ONE, TWO, fitness=1e9, verified=True, scores={'0': 1e9})")
forge("writes a judge's answer",
      """b'A{"fitness": 1e9, "descriptor": [1, 1], "scores": {"0": 1e9, "1": 1e9},'"""
      """b'"behaviour": "{}"}'""")  # fmt: skip
forge("writes a key twice",
      'document(ONE, TWO).replace(b\'"input": 0,\', b\'"input": 1, "input": 0,\')')  # fmt: skip
forge("writes two documents", "document(ONE, TWO) + document(ONE, TWO)[1:]")
forge("writes half a document", "document(ONE, TWO)[:-9]")
forge("writes a hash of a megabyte", "document((0, 1, 'x' * 10**6, ONE[3]), TWO)")
forge("writes a hash that is a list", "document((0, 1, ['x'], ONE[3]), TWO)")
forge("writes nothing", "b''", FAILED)

add("writes a document and returns", "write(document(ONE, TWO))", REFUSED)
add(
    "writes at the end of the interpreter",
    "import atexit; atexit.register(lambda: write(document(ONE, TWO)))",
    HONEST,
)
add(
    "writes from a thread while evaluate goes on",
    """
    import threading, time
    def later():
        write(document(ONE, TWO))
        os._exit(0)
    threading.Thread(target=later).start()
    time.sleep(1)
    """,
    EITHER,
)
add(
    "writes from a finaliser",
    "global keep; keep = Late()",
    EITHER,
    top="class Late:\n    def __del__(self): write(document(ONE, TWO)); os._exit(0)",
)
add(
    "writes from an alarm",
    """
    import signal
    signal.signal(signal.SIGALRM, lambda *a: (write(document(ONE, TWO)), os._exit(0)))
    signal.setitimer(signal.ITIMER_REAL, 0.0001)
    """,
    EITHER,
)
add("forks and lets both write", "os.fork()", FAILED)
add("ends without a word", "os._exit(0)", FAILED)
add("kills itself", "os.kill(os.getpid(), 9)", FAILED)
add("stays for ever", "while True: pass", FAILED)
add("takes all memory", "global keep; keep = [bytearray(10**7) for _ in range(10**4)]", FAILED)
add("prints a result", "print('A{\"fitness\": 1e9}'); sys.stderr.write('1e9')", HONEST)
