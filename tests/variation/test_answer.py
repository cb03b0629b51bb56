"""Code is found in whatever a model writes around it, and nothing else is taken for code."""

from __future__ import annotations

import ast
import html
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elm.variation.answer import Answer, extract

CODE = """\
import math

def make(n):
    \"\"\"Makes it.\"\"\"
    total = 0
    for i in range(n):
        total += math.sqrt(i)
    return total
"""
OTHER = "def helper(x):\n    return x\n"
FENCED = f"```python\n{CODE}```"

SOUND = {
    "bare": CODE,
    "bare, with blank lines around": f"\n\n{CODE}\n\n\n",
    "fenced": FENCED,
    "fence without a language": f"```\n{CODE}```",
    "fence with another": f"~~~py\n{CODE}~~~",
    "four ticks": f"````python\n{CODE}````",
    "words behind the fence": f'```python title="make.py" {{1-3}}\n{CODE}```',
    "blank before the language": f"``` python\n{CODE}```",
    "unclosed": f"```python\n{CODE}",
    "closed only": f"{CODE}```\nThat is all.",
    "prose around": f"Sure! Here is the program:\n\n{FENCED}\n\nIt works because it's faster.",
    "helper first": f"```python\n{OTHER}```\nand\n{FENCED}",
    "use behind": f"{FENCED}\nUse it:\n```python\nprint(make(3))\nprint(make(4))\n" * 1 + "```",
    "an old one first": f"This was it:\n```python\ndef make(n):\n    return n\n```\nNow:\n{FENCED}",
    "a broken one last": f"{FENCED}\nOr:\n```python\ndef make(n:\n    return\n```",
    "output behind": f"{FENCED}\nOutput:\n```\n{'1.0 ' * 200}\n```",
    "nested in text": f"```markdown\n# Answer\n{FENCED}\n```",
    "in a list": "1. So:\n   ```python\n"
    + "".join(f"   {x}\n" for x in CODE.split("\n"))
    + "   ```",
    "prose before": f"Here is the code:\n\n{CODE}",
    "prose behind": f"{CODE}\nThis function doesn't loop (much).\nIt is fast.",
    "prose on both sides": f"Here's my answer.\n\n{CODE}\nExplanation:\n- It's new.\n- It is fast.",
    "bold prose behind": f"{CODE}\n**Note**: it's new!",
    "thought first": f"<think>\nSo ```python\ndef make(n): pass\n``` ...\n</think>\n{FENCED}",
    "thought that was opened before": f"def make is what they want.\n</think>\n\n{CODE}",
    "two thoughts": f"<think>a</think><thinking>b</thinking>\n{FENCED}",
    "carriage returns": FENCED.replace("\n", "\r\n"),
    "old Macs": FENCED.replace("\n", "\r"),
    "byte order mark": "\ufeff" + CODE,
    "null bytes": FENCED.replace("i in", "i\0 in"),
    "special tokens": f"{CODE}<|im_end|>\n<|endoftext|>",
    "markup": FENCED.replace("for i in range(n)", "for i in range(n) if n &gt; 0 else []").replace(
        " if n &gt; 0 else []", ""
    ),
}

NOTHING = {
    "empty": ("", "empty"),
    "blank": (" \n\t\n", "empty"),
    "null bytes": ("\0\0\ufeff", "empty"),
    "prose": ("I am sorry, I cannot help with that.", "prose"),
    "much prose": ("I think, therefore I write. For example:\nNothing.\n" * 300, "prose"),
    "thoughts": ("<think>Let me see. def make(n): return 1", "thinking"),
    "only thoughts": ("<think>hm</think>\n", "thinking"),
    "empty fence": ("```python\n```", "empty"),
    "page": ("<!DOCTYPE html>\n<html><body><p>x = 1</p></body></html>", "HTML"),
    "tokens": ("<|im_end|><|im_end|>", "empty"),
}


@pytest.mark.parametrize("name", SOUND)
def test_the_program_is_found(name: str) -> None:
    answer = extract(SOUND[name], "make")
    assert answer.reason == ""
    assert answer.code.strip() == CODE.strip(), answer.code


@pytest.mark.parametrize("name", NOTHING)
def test_no_program_has_a_reason(name: str) -> None:
    completion, word = NOTHING[name]
    answer = extract(completion, "make")
    assert answer.code == "" and word in answer.reason and "\n" not in answer.reason


def test_markup_is_undone_where_only_that_gives_a_program() -> None:
    escaped = "def make(n):\n    return n &lt; 3 and &quot;a&quot;\n"
    assert extract(escaped, "make").code == 'def make(n):\n    return n < 3 and "a"\n'
    meant = 'def make(n):\n    return n.replace("<", "&lt;")\n'
    assert extract(meant, "make").code == meant


def test_a_docstring_with_fences_does_not_end_the_block() -> None:
    inner = 'def make(n):\n    """Say:\n\n    ```\n    make(3)\n    ```\n    """\n    return n\n'
    assert extract(f"```python\n{inner}```\nDone.", "make").code == inner
    margin = 'def make(n):\n    """Say:\n```\nmake(3)\n```\n    """\n    return n\n'
    assert extract(f"```python\n{margin}```\nDone.", "make").code == margin


def test_broken_code_is_handed_on_whole() -> None:
    """Half of a program must never pass for all of it."""
    broken = CODE.replace("range(n):", "range(n)")
    for text in (broken, f"Here:\n\n{broken}\nIt's new.", f"```python\n{broken}```"):
        code = extract(text, "make").code
        assert "return total" in code and "total += math.sqrt(i)" in code
        with pytest.raises(SyntaxError):
            ast.parse(code)


def test_only_the_answer_decides_where_no_block_names_the_entry() -> None:
    short, long = "x = 1\n", "rows = []\nfor i in range(3):\n    rows.append(i)\n"
    text = f"```python\n{short}```\n\n```python\n{long}```\n\n```\n{short}```"
    assert extract(text, "make").code == long


def _sloppy(rng: random.Random) -> str:
    """A completion as models write them, cut and stirred."""
    pieces = [
        *(
            "```python\n",
            "```\n",
            "~~~\n",
            "````",
            "<think>\n",
            "</think>\n",
            "\r\n",
            "\0",
            "\ufeff",
        ),
        *("\ud800", "&lt;", "<p>", "# ... rest unchanged\n", "    ...\n", "Sure, here it's:\n"),
        *("'''", '"""', "(", "{", "\\\n", "\t", "\f", "<|im_end|>", "1. ", "- ", "é日本\n", "@@ "),
        *(CODE, OTHER, "def make(n):\n", "    return n\n", "class A:\n", "x = 1\n", "make(3)\n"),
    ]
    text = "".join(rng.choices(pieces, k=rng.randint(1, 14)))
    start = rng.randrange(len(text) + 1) if rng.random() < 0.2 else 0
    return text[start:]


def test_malformed_completions_give_code_or_a_reason() -> None:
    found = 0
    for seed in range(400):
        text = _sloppy(random.Random(seed))
        answer = extract(text, "make")
        assert bool(answer.code) != bool(answer.reason), text
        assert not set("\0\ufeff\r") & set(answer.code)
        answer.code.encode()
        source = iter(html.unescape(text.encode("utf-8", "replace").decode()))
        code = "".join(html.unescape(answer.code).split())
        assert all(letter in source for letter in code), text  # nothing is made up
        found += bool(answer.code)
    assert 100 < found < 400


@given(st.text(max_size=300))
@settings(max_examples=150, deadline=None)
def test_it_never_raises(text: str) -> None:
    answer = extract(text, "make")
    assert isinstance(answer, Answer) and bool(answer.code) != bool(answer.reason)


@pytest.mark.parametrize(
    "piece",
    ["<think>", "</think><think>", "```\n", "```python\n", "\n", " ", "I think that.\n", "x = 1\n",
     "def make(n):\n", "&lt;", "(", "a", "# ... a\n", "import a, b as\n", "x" + " " * 50, "'''\n"],
)  # fmt: skip
def test_the_time_grows_with_the_length(piece: str) -> None:
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        times = []
        for _ in range(3):
            start = time.process_time()
            extract(text, "make")
            times.append(time.process_time() - start)
        return min(times)

    # Eight times the length; were it the square, it would take 64 times as long.
    assert seconds(200_000) < 24 * seconds(25_000) + 0.1
