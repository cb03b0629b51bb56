"""What the reader of results takes and what it refuses."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.strict import NotPlain, parse


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"NaN", "NaN is not a finite number"),
        (b"[1, -Infinity]", "-Infinity is not a finite number"),
        (b"1e999", "1e999 is not a finite number"),
        (b"-1E+400", "not a finite number"),
        (b"9" * 400 + b".0", "not a finite number"),
        (b"9" * 401, "more than 400 digits"),
        (b"-1" + b"0" * 400, "more than 400 digits"),
        (b"9" * 5000, "more than 400 digits"),
        (b'{"a": 1, "a": 2}', "a key twice"),
        (b'{"a": 1, "\\u0061": 2}', "a key twice"),
        (b"1 2", "not one JSON document"),
        (b"", "not one JSON document"),
        (b'{"a": 1}{"a": 1}', "not one JSON document"),
        (b"[" * 101 + b"]" * 101, "nested over 100 deep"),
        (b"[" * 100_000, "nested over 100 deep"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "nested over 100 deep"),
        (b'"\xff"', "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'"\\ud800"', "surrogate"),
        (b'["\\udc00\\ud800"]', "surrogate"),
        (b"\xef\xbb\xbf1", "not one JSON document"),
        (b"'a'", "not one JSON document"),
    ],
)
def test_refused(document, message):
    with pytest.raises(NotPlain, match=message) as caught:
        parse(document)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "document",
    [
        b"9" * 400,
        b"-" + b"9" * 400,
        b"1e308",
        b"1e-999",
        b'"' + b"7" * 500 + b'"',
        b'"1e999 [[[["',
        b'"\\ud83d\\ude00"',
        b"[" * 100 + b"]" * 100,
        b'["' + b"[" * 5000 + b'\\"' + b"[" * 5000 + b'"]',
        b"[" + b"[1],".join([b""] * 5000) + b"0]",
        b' {"a": null} ',
    ],
)
def test_taken(document):
    assert parse(document) == json.loads(document)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False).filter(lambda x: abs(x) != float("inf")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(derandomize=True, database=None)
@given(PLAIN, st.booleans())
def test_plain_values_come_through_unchanged(value, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert parse(text.encode("utf-8")) == value


@settings(derandomize=True, database=None)
@given(st.binary(max_size=200))
def test_noise_is_taken_as_json_or_refused(document):
    try:
        value = parse(document)
    except NotPlain:
        return
    assert parse(json.dumps(value).encode()) == value
