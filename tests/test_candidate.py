"""Programs and their canonical form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elm.candidate import MAX_SOURCE_BYTES, Program, canonical_hash


def digest(source, name="a.py"):
    return canonical_hash(Program({name: source}))


def test_comments_docstrings_and_formatting_do_not_count():
    plain = digest("def f(x):\n    return x + 1\n")
    assert plain == digest('def f(x):  # adds\n\n    """Adds."""\n    return (x+1)\n')
    assert plain != digest("def f(x):\n    return x + 2\n")
    assert plain != digest("def f(y):\n    return y + 1\n")
    assert plain != digest("def f(x):\n    return x + 1\n", name="b.py")


def test_a_function_that_is_all_docstring_is_not_an_empty_one_of_another_kind():
    assert digest('def f():\n    """Says."""\n') == digest("def f():\n    pass\n")
    assert digest("def f():\n    1\n") != digest("def f():\n    pass\n")


def test_json_counts_as_data():
    assert digest("[1.0,2]", "v.json") == digest(" [1.0, 2] ", "v.json")
    assert digest("[1.0,2]", "v.json") != digest("[2,1.0]", "v.json")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def f(:\n", r"a\.py \(line 1\): invalid syntax"),
        ("x = 1\ny = = 2\n", r"a\.py \(line 2\)"),
        ("x = '\0'", "null bytes"),
        ("x = " + "[" * 3000, "nested"),
        ("-" * 60000 + "1", "a.py"),
        ("x = '\ud800'", "surrogates"),
        ("#" * (MAX_SOURCE_BYTES + 1), "larger than"),
    ],
)
def test_what_does_not_parse_is_one_line_that_names_the_file(source, said):
    with pytest.raises(SyntaxError, match=said) as caught:
        digest(source)
    assert "\n" not in str(caught.value.msg)


@given(st.text())
def test_no_text_does_worse_than_a_syntax_error(text):
    try:
        assert len(digest(text)) == 64
    except SyntaxError as error:
        assert "a.py" in str(error.msg)
