"""The prompt operator with a model that says what the test wants."""

from __future__ import annotations

from typing import ClassVar

import pytest
from operator_kit import Scripted

from elm.candidate import Candidate, Elite, Evaluation, Program, Status, canonical_hash
from elm.models import Completion, ModelError
from elm.variation import Order
from elm.variation.completion import end_of_function, end_of_line
from elm.variation.prompt import PromptOperator
from elm.variation.repair import repair
from elm.variation.shapes import Begun
from environments.base import Objective, Prompt

HEADER = "import math\n\n\ndef helper(x):\n    return x\n\n\n"
FUNCTION = """\
def build():
    out = start()
    a = 1
    b = 2
    c = helper(a + b)
    out.add(a, b)
    out.add(b, c)
    return out
"""


class Toy:
    name: ClassVar[str] = "toy"
    objective = Objective("score", f_min=0.0, unit="m")
    prompt = Prompt(
        instruction="Build something.",
        file="toy.py",
        entry="build",
        opening="def build():\n    out = start()",
        preamble="# An interface.\n",
    )


class Script(Scripted):
    """Answers each request with the next text."""

    def __init__(self, *answers, reason="stop", continues=True):
        super().__init__(self._next, continues=continues)
        self.answers, self.reason = answers, reason

    def _next(self, request, number):
        answer = self.answers[number % len(self.answers)]
        if isinstance(answer, Exception):
            return answer
        end = request.stop(answer) if request.stop else None
        return Completion(
            text=answer[:end],
            prompt_tokens=7,
            completion_tokens=3,
            cached_tokens=2,
            finish_reason=self.reason,
            latency=0.5,
        )


def elite(number=0, source=HEADER + FUNCTION, fitness=12.5):
    program = Program({"toy.py": source})
    candidate = Candidate(id=number, block=0, program=program, hash=canonical_hash(program))
    return Elite(candidate, Evaluation(candidate=number, status=Status.OK, fitness=fitness))


def propose(model, seeds=(1,), parents=None, **settings):
    settings.setdefault("shape", "few_shot")
    operator = PromptOperator(Toy(), model, **settings)
    parents = parents or (elite(0), elite(1, FUNCTION.replace("2", "5")))
    return operator.propose([Order(tuple(parents), seed) for seed in seeds])


def test_a_child_keeps_the_parents_imports_and_helpers_and_ends_with_its_function():
    model = Script("\n    d = helper(3)\n    return d\n\n\ndef another():\n    pass\n")
    (child,) = propose(model)
    assert child.status is None
    source = child.program.source
    assert source == HEADER + "def build():\n    out = start()\n    d = helper(3)\n    return d\n"
    (attempt,) = child.attempts
    assert attempt.completion == "\n    d = helper(3)\n    return d"
    assert (attempt.prompt_tokens, attempt.completion_tokens, attempt.cached_tokens) == (7, 3, 2)
    assert attempt.prompt == model.requests[0].prompt and attempt.model == "script"


def test_parents_are_shown_in_order_with_the_varied_one_last():
    model = Script("\n    return 1\n")
    propose(model, show_fitness=True)
    prompt = model.requests[0].prompt
    assert prompt.startswith("# An interface.") and prompt.endswith("    out = start()")
    assert prompt.index("b = 5") < prompt.index("b = 2")
    assert prompt.count("# score: 12.5 m\n") == 2
    assert prompt[: model.requests[0].shared].strip() == "# An interface."
    propose(model)
    assert "score" not in model.requests[1].prompt


def test_chat_asks_the_instruction():
    model = Script("\n    return 1\n")
    (child,) = propose(model, shape="chat")
    (request,) = model.requests
    (turn,) = request.messages
    assert turn.role == "user" and turn.content.startswith("Build something.")
    assert turn.content.index("b = 5") < turn.content.index("b = 2")
    assert request.prefill == "```python\n" + HEADER + Toy.prompt.opening
    assert child.program.source == HEADER + Toy.prompt.opening + "\n    return 1\n"
    assert child.attempts[0].prompt == request.text


def test_auto_is_mixed_or_chat_as_the_model_can():
    told = {}
    for continues in (True, False):
        model = Script("9\n    z = 4\n", continues=continues)
        PromptOperator(Toy(), model).propose([Order((elite(0),), 1)])
        told[continues] = model.requests[0]
    assert told[True].prompt and not told[True].messages
    assert told[False].messages and not told[False].prompt
    assert not told[False].prefill and told[False].stop is None


def test_a_model_that_answers_conversations_gives_whole_programs():
    child = HEADER + FUNCTION.replace("a = 1", "a = 7")
    model = Script(f"Here it is:\n```python\n{child}```\nEnjoy!", continues=False)
    (made,) = propose(model, shape="chat")
    assert made.status is None and made.program.source == child
    (made,) = propose(Script("I am sorry.", continues=False), shape="chat")
    assert made.status is Status.EMPTY_OUTPUT and made.detail
    (made,) = propose(Script("```\ndef build(:\n```", continues=False), shape="chat")
    assert made.status is Status.SYNTAX_ERROR and "line 1" in made.detail


@pytest.mark.parametrize("shape", ["few_shot", "partial", "splice", "infill", "mixed"])
def test_a_shape_that_the_model_cannot_go_on_with_is_refused(shape):
    with pytest.raises(ValueError, match=rf"shape: '{shape}'.*'script'.*choose auto or chat"):
        PromptOperator(Toy(), Script("", continues=False), shape=shape)


def test_a_partial_child_begins_like_its_parent_at_a_line_that_the_seed_decides():
    model = Script("\n    return helper(9)\n")
    children = propose(model, seeds=range(12), shape="partial")
    sources = [child.program.source for child in children]
    for request, source in zip(model.requests, sources, strict=True):
        begun = request.prompt[request.prompt.rindex("def build") :]
        assert FUNCTION.startswith(begun) and source == HEADER + begun + request_end(source)
        assert begun + request.avoid + "\n" == FUNCTION
    assert len(set(sources)) > 2
    again = propose(model, seeds=range(12), shape="partial")
    assert [child.program.source for child in again] == sources


def request_end(source):
    return source[source.rindex("\n    return helper(9)") :]


def test_a_spliced_child_goes_on_like_its_parent():
    model = Script("\n    z = 4\n    y = 5\n    x = 6\n    w = 7\n")
    children = propose(model, seeds=range(20), shape="splice", copy_penalty=1.5)
    kept = set()
    for child, request in zip(children, model.requests, strict=True):
        source = child.program.source
        assert child.status is None and source.endswith("    return out\n")
        assert "    z = 4\n" in source and "w = 7" not in source
        assert request.penalty == 1.5 and request.avoid
        kept.add(source)
    assert len(kept) > 5


def test_an_infilled_child_differs_from_its_parent_in_the_rest_of_one_line():
    model = Script("7)\n    more = 1\n")
    children = propose(model, seeds=range(30), shape="infill", copy_penalty=1.5)
    before = (HEADER + FUNCTION).splitlines()
    places = set()
    for child, request in zip(children, model.requests, strict=True):
        begun = request.prompt[request.prompt.rindex("def build") :]
        assert begun + request.avoid + "\n" == FUNCTION
        assert begun[-1] in "(,=+" and request.penalty == 3.0
        after = child.program.source.splitlines()
        assert len(after) == len(before) and "more" not in child.program.source
        changed = [i for i, pair in enumerate(zip(before, after, strict=True)) if len({*pair}) > 1]
        assert len(changed) == 1 and after[changed[0]].endswith("7)")
        places.add(begun)
    assert len(places) > 5
    assert not any("def " in place.splitlines()[-1] for place in places)


def test_mixed_draws_splices_and_infills():
    model = Script("9\n    z = 4\n")
    propose(model, seeds=range(40), shape="mixed", copy_penalty=1.0)
    infills = sum(request.penalty == 2.0 for request in model.requests)
    assert 10 <= infills <= 30


@pytest.mark.parametrize(
    ("depth", "text", "kept"),
    [
        (0, " 5", None),
        (0, " 5\n    b", " 5"),
        (1, "5, 6)\n    b", "5, 6)"),
        (1, "5,\n    6)\n    b\n", "5,\n    6)"),
        (1, "5, 6\n", None),
        (0, ' "("\n', ' "("'),
    ],
)
def test_where_a_line_ends(depth, text, kept):
    end = end_of_line(depth)(text)
    assert (None if end is None else text[:end]) == kept


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("", Status.EMPTY_OUTPUT),
        ("\n\n   \n", Status.EMPTY_OUTPUT),
        ("\n    ((( garbage\n", Status.SYNTAX_ERROR),
        (" @@ " * 50_000, Status.SYNTAX_ERROR),  # 200 KB
        ("\n    \ud800 \0 \xff $\n", Status.SYNTAX_ERROR),
        ("\n" + "(" * 5_000, Status.SYNTAX_ERROR),
        ("\n" + "\n".join(FUNCTION.split("\n")[2:]), Status.NO_CHANGE),
        ("\n    a  =  1 # copy\n" + "\n".join(FUNCTION.split("\n")[3:]), Status.NO_CHANGE),
    ],
)
@pytest.mark.parametrize("salvage", [True, False])
def test_what_goes_wrong_has_its_status_and_its_attempt(answer, status, salvage):
    endless = Script(answer)
    (child,) = propose(endless, salvage=salvage)
    assert child.status is status and "\n" not in child.detail
    assert len(child.attempts) == 1
    child.attempts[0].completion.encode("utf-8")
    if status is Status.SYNTAX_ERROR and len(answer) < 1000:
        assert "line" in child.detail


def test_a_model_that_repeats_a_line_without_end_is_stopped():
    (child,) = propose(Script("\n    x = 1" * 20_000))
    assert child.program.source.endswith("    x = 1\n    return out\n")
    assert child.program.source.count("x = 1") == 1


def test_a_model_that_fails_fails_every_child_with_its_reason():
    children = propose(Script(ModelError("no route to the model")), seeds=(1, 2))
    assert [child.status for child in children] == [Status.MODEL_ERROR] * 2
    assert all(child.detail == "no route to the model" for child in children)
    assert all(child.attempts[0].finish_reason == "error" for child in children)
    (child,) = propose(Script("\n    return 1\n", reason="error"))
    assert child.status is Status.MODEL_ERROR


CUT = "\n    d = 4\n    e = helper(d)\n    out.add(e, hel"


def test_a_completion_cut_by_its_length_keeps_its_whole_statements():
    (child,) = propose(Script(CUT, reason="length"))
    assert child.status is None and "salvaged 2 of 3 lines" in child.detail
    assert child.program.source.endswith("    e = helper(d)\n    return out\n")
    (child,) = propose(Script(CUT, reason="length"), salvage=False)
    assert child.status is Status.SYNTAX_ERROR


def test_statements_with_names_that_nobody_defines_are_given_up():
    (child,) = propose(Script("\n    d = 4\n    out.add(d, nowhere)\n    return out\n"))
    assert child.program.source.endswith("    d = 4\n    return out\n")
    assert "unknown name" in child.detail


def test_replaced_statements_come_back_where_the_rest_needs_them():
    begun = Begun("def f():\n    a = 1", "\n    return b", replaced=("    b = 2",))
    text, note = repair(begun, "\n    c = math.pi", "    return b", "f", {"math"})
    assert text == "def f():\n    a = 1\n    c = math.pi\n    b = 2\n    return b"
    assert "brought back" in note


def test_an_operator_that_cannot_work_says_why():
    with pytest.raises(ValueError, match="model=none"):
        PromptOperator(Toy(), None)
    mute = Toy()
    mute.prompt = None
    with pytest.raises(ValueError, match="nothing to tell"):
        PromptOperator(mute, Script(""))
    with pytest.raises(ValueError, match="keep_least"):
        PromptOperator(Toy(), Script(""), keep_least=0.9, keep_most=0.1)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("\n    a = 1\n    return a\n    b = 2\n", "\n    a = 1\n    return a"),
        ("\n    a = 1\n\n\ndef g():\n    pass\n", "\n    a = 1\n\n"),
        ("\n    if a:\n        return 1\n    b = 2\n", None),
        ("\n    return f(\n1,\n    )\n    x\n", "\n    return f(\n1,\n    )"),
        ('\n    s = "("\n    return s\n', '\n    s = "("\n    return s'),
        ("\n    a = 1", None),
        ("\n    x = 1\n    x = 1\n    x = 1\n", "\n    x = 1"),
    ],
)
def test_where_a_function_ends(text, kept):
    end = end_of_function(4)(text)
    assert (None if end is None else text[:end]) == kept


def test_where_some_statements_end():
    text = "\n    a = 1\n    for i in a:\n        b = i\n        c = i\n    d = 1\n    e = 1\n"
    assert text[: end_of_function(4, 1)(text)] == "\n    a = 1"
    assert text[: end_of_function(4, 2)(text)] == text[: text.index("\n    d")]
    assert text[: end_of_function(4, 3)(text)] == text[: text.index("\n    e")]
    assert end_of_function(4, 9)(text) is None
