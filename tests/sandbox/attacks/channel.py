"""Results that a parser might choke on, or understand in two ways."""

from attacks.attack import Subject

# fmt: off
subject = Subject("result channel")
add = subject.add

for name, body in (
    ("NaN", "return float('nan')"),
    ("infinity", "return [float('inf')]"),
    ("a set", "return {1}"),
    ("bytes", "return b'1'"),
    ("itself", "x = []; x.append(x); return x"),
    ("deep nesting", "x = []\nfor _ in range(500): x = [x]\nreturn x"),
    ("half a character", "return '\\ud800'"),
    ("an integer of 401 digits", "return 10**400"),
    ("an object that encodes itself", "return type('X', (), {'__json__': lambda s: '1'})()"),
    ("a lazy list", "return (n for n in range(3))"),
):
    add(name, "parser", body, "bad_result")

# Its own document on the result's pipe, whatever stands in it.
WRITE = """
def write(text):
    for fd in range(3, 64):
        try: os.write(fd, text)
        except OSError: pass
    os._exit(0)
"""
for name, text in (
    ("no kind", b"1"),
    ("another kind", b"Z1"),
    ("a pickle", b"A\x80\x04K\x01."),
    ("not JSON", b"Aimport os"),
    ("two documents", b"A1 1"),
    ("a document and a half", b"A1A"),
    ("a key twice", b'A{"a": 1, "a": 2}'),
    ("a number beyond all", b"A1e999"),
    ("a word for no number", b"ANaN"),
    ("a thousand brackets", b"A" + b"[" * 1000),
    ("not UTF-8", b"A\"\xff\""),
    ("half an escape", b'A"\\ud800"'),
    ("too many digits", b"A" + b"9" * 401),
    ("a null byte", b"A1\x00"),
):
    add(f"writes {name}", "parser", f"write({text!r})", "bad_result", top=WRITE)
add("writes an error of its own", "parser",
    """write(b'E{"type": "\\\\u001b[2J", "message": ["x"], "line": {}, "file": 3}')""",
    "runtime_error", top=WRITE)
add("writes an error that is none", "parser", "write(b'E[]')", "runtime_error", top=WRITE)
add("writes a result and returns another", "parser", "write(b'A1'); return 2", "bad_result",
    top=WRITE.replace("    os._exit(0)\n", ""))
