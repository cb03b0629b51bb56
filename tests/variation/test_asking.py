"""Rounds of requests: who is asked again, with what, and what is recorded of it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from operator_kit import PROGRAM, Scripted, Toy, python

from elm.candidate import Status, canonical_hash
from elm.models import Completion, ModelError, Request
from elm.models.base import Message
from elm.variation import Order
from elm.variation.asking import MAX_COMPLAINT, Complaint, ModelOperator, Written
from elm.variation.rewrite import Rewrite

GOOD = PROGRAM.replace("2.5", "7.25")
BROKEN = "def draw(width, height:\n    return ["


def block(text: str) -> str:
    return f"```python\n{text}```"


def lines(*said: Any) -> Any:
    """Answers of a model that talks about one child alone: in their order, the last for ever."""
    return lambda request, number: said[min(number, len(said) - 1)]


def rewrite(*said: Any, **settings: Any) -> tuple[Any, Scripted]:
    model = Scripted(lines(*said), continues=False)
    (made,) = Rewrite(Toy(), model, **settings).propose([Order((python(PROGRAM, 3),), 17)])
    return made, model


def test_a_retry_that_succeeds_yields_the_program_with_both_attempts() -> None:
    made, model = rewrite(block(BROKEN), block(GOOD), retries=2)
    assert made.status is None and made.program.source == GOOD
    assert [a.completion for a in made.attempts] == [block(BROKEN), block(GOOD)]
    assert model.batches == [1, 1]


def test_a_retry_shows_what_was_wrong() -> None:
    made, model = rewrite(block(BROKEN), block(GOOD), retries=1)
    first, second = model.requests
    assert second.messages[: len(first.messages)] == first.messages
    answer, complaint = second.messages[len(first.messages) :]
    assert answer == Message("assistant", block(BROKEN))
    assert complaint.role == "user" and "toy.py (line 2)" in complaint.content
    assert "does not parse" in made.attempts[1].prompt
    assert "does not parse" not in made.attempts[0].prompt


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (block(BROKEN), Status.SYNTAX_ERROR),
        ("", Status.EMPTY_OUTPUT),
        ("No.", Status.EMPTY_OUTPUT),
        (block(PROGRAM), Status.NO_CHANGE),
        (block("# Only a comment is new.\n" + PROGRAM), Status.NO_CHANGE),
    ],
)
def test_attempts_are_bounded_and_counted(said: str, status: Status) -> None:
    for retries, redraws in ((0, 0), (3, 0), (0, 2), (3, 2)):
        made, model = rewrite(said, retries=retries, redraws=redraws)
        more = redraws if status is Status.NO_CHANGE else retries
        assert made.status is status and made.detail
        assert len(made.attempts) == len(model.requests) == 1 + more
        assert (
            Rewrite(Toy(), model, retries=retries, redraws=redraws).calls == 1 + retries + redraws
        )
        seeds = [attempt.seed for attempt in made.attempts]
        assert len(set(seeds)) == len(seeds)


def test_both_kinds_together_are_bounded_by_calls() -> None:
    # A broken answer and a copy by turns.
    said = [block(BROKEN), block(PROGRAM)] * 5
    made, model = rewrite(*said, retries=2, redraws=2)
    assert len(made.attempts) == 5 and made.status is Status.SYNTAX_ERROR
    # The complaint is gone where a copy was drawn again.
    assert [len(request.messages) for request in model.requests] == [2, 4, 2, 4, 2]


def test_first_requests_are_made_together_and_then_those_that_are_left() -> None:
    bad = {1, 3, 4}

    def answer(request: Request, number: int) -> str:
        return block(BROKEN if number in bad else PROGRAM.replace("2.5", f"{number}.125"))

    model = Scripted(answer, continues=False)
    orders = [Order((python(PROGRAM),), seed) for seed in range(5)]
    made = Rewrite(Toy(), model, retries=1).propose(orders)
    assert model.batches == [5, 3]
    assert [len(one.attempts) for one in made] == [1, 2, 1, 2, 2]
    assert all(one.status is None for one in made)
    assert made[3].program is not None and "6.125" in made[3].program.source


def test_a_model_that_breaks_later_keeps_what_it_said_before() -> None:
    def answer(request: Request, number: int) -> Any:
        if number >= 3:
            return ModelError("the endpoint is gone")
        return block(GOOD if number == 0 else BROKEN)

    model = Scripted(answer, continues=False)
    orders = [Order((python(PROGRAM),), seed) for seed in range(3)]
    made = Rewrite(Toy(), model, retries=3).propose(orders)
    assert [one.status for one in made] == [None, Status.MODEL_ERROR, Status.MODEL_ERROR]
    assert [len(one.attempts) for one in made] == [1, 2, 2]
    assert made[1].detail == "the endpoint is gone" and made[1].program is None
    assert made[1].attempts[0].completion == block(BROKEN)
    assert made[1].attempts[1].finish_reason == "error"
    assert model.batches == [3, 2]


def test_one_request_that_goes_wrong_is_no_other_childs_business() -> None:
    failed = Completion(
        text="", prompt_tokens=11, completion_tokens=0, finish_reason="error", error="429", tries=4
    )
    model = Scripted(
        lambda request, number: failed if number == 1 else block(GOOD), continues=False
    )
    orders = [Order((python(PROGRAM),), seed) for seed in range(3)]
    made = Rewrite(Toy(), model, retries=2).propose(orders)
    assert [one.status for one in made] == [None, Status.MODEL_ERROR, None]
    assert made[1].detail == "429"
    (attempt,) = made[1].attempts
    assert (attempt.prompt_tokens, attempt.tries, attempt.finish_reason) == (11, 4, "error")


def test_attempts_say_who_wrote_them_and_what_they_cost() -> None:
    def answer(request: Request, number: int) -> Completion:
        return Completion(
            text=block(BROKEN if number == 0 else GOOD),
            prompt_tokens=10,
            completion_tokens=20,
            cached_tokens=5,
            latency=0.25,
            model=f"member-{number}",
            cost=0.5,
            tries=3,
        )

    model = Scripted(answer, continues=False)
    order = Order((python(PROGRAM),), 5, model="member-0")
    (made,) = Rewrite(Toy(), model, retries=1).propose([order])
    assert [request.model for request in model.requests] == ["member-0"] * 2
    assert made.model == "member-1"
    one = made.attempts[0]
    assert (one.model, one.cost, one.tries, one.cached_tokens) == ("member-0", 0.5, 3, 5)
    assert (one.prompt_tokens, one.completion_tokens, one.latency) == (10, 20, 0.25)
    plain, _ = rewrite(block(GOOD))
    assert plain.model == "" and plain.attempts[0].model == "script"


def test_near_copies_are_rejected_and_drawn_again() -> None:
    near = PROGRAM.replace("2.5", "2.75")
    far = (
        "def draw(width, height):\n    return [[(x, y, 'red') for x in range(9)] for y in [1, 2]]\n"
    )
    made, _ = rewrite(block(near), novelty=0.6)
    assert made.status is Status.NOVELTY_REJECTED and made.program.source == near
    assert "similarity 0.9" in made.detail and "parent 3" in made.detail
    made, model = rewrite(block(near), block(far), novelty=0.6, redraws=1)
    assert made.status is None and made.program.source == far
    assert [len(request.messages) for request in model.requests] == [2, 2]
    assert model.requests[0].seed != model.requests[1].seed
    made, _ = rewrite(block(near), novelty=1.0)
    assert made.status is None


def test_the_crowd_of_the_archive_counts_as_well() -> None:
    model = Scripted(lambda request, number: block(GOOD), continues=False)
    operator = Rewrite(Toy(), model, novelty=0.95)
    assert operator.novelty is not None
    elite = operator.novelty.sketch(python(GOOD + "\n# the same\n").candidate.program)  # type: ignore[arg-type]
    other = operator.novelty.sketch(python("x = 1\n").candidate.program)  # type: ignore[arg-type]
    parents = (python("def draw(width, height):\n    return [width]\n"),)
    for crowd, status in (
        ((), None),
        ((other,) * 20, None),
        ((other,) * 20 + (elite,), Status.NOVELTY_REJECTED),
        ((elite,), Status.NOVELTY_REJECTED),
    ):
        (made,) = operator.propose([Order(parents, 1, crowd=crowd)])
        assert made.status is status
        if status is not None:
            assert "similarity 1.000 to an elite of the archive" in made.detail


class Drawn(ModelOperator):
    """Asks for what it drew; reads nothing."""

    name = "drawn"
    parents = 0

    def draft(self, order: Order, rng: random.Random, complaint: Complaint | None) -> Any:
        return Asked(Request(prompt=f"{rng.random()} {complaint is not None}", seed=0), self.made)

    made = Written(status=Status.PATCH_FAILED, detail="one\ntwo")


class Asked:
    def __init__(self, request: Request, made: Written) -> None:
        self.request, self.made = request, made

    def read(self, text: str) -> Written:
        return self.made


def test_a_retry_asks_for_the_same_and_a_redraw_for_something_else() -> None:
    model = Scripted(lambda request, number: "x" * 5_000)
    operator = Drawn(Toy(), model, retries=2, redraws=1)
    (made,) = operator.propose([Order((), 9)])
    drawn = [request.prompt.split() for request in model.requests]
    assert [told for _, told in drawn] == ["False", "True", "True"]
    assert len({value for value, _ in drawn}) == 1
    rng = random.Random(9)
    assert float(drawn[0][0]) == rng.random() and model.requests[0].seed == rng.getrandbits(63)
    assert len({request.seed for request in model.requests}) == 3
    assert made.detail == "one two" and made.status is Status.PATCH_FAILED
    operator.made = Written(status=Status.NO_CHANGE, detail="as it was")
    model.requests.clear()
    operator.propose([Order((), 9)])
    drawn = [request.prompt.split() for request in model.requests]
    assert len({value for value, _ in drawn}) == 2 == len(drawn)


def test_a_complaint_holds_no_more_of_an_answer_than_it_should() -> None:
    seen: list[Complaint] = []

    class Noting(Drawn):
        def draft(self, order: Order, rng: random.Random, complaint: Complaint | None) -> Any:
            seen.extend([complaint] if complaint else [])
            return super().draft(order, rng, complaint)

    Noting(Toy(), Scripted(lambda request, number: "x" * 9_000), retries=1).propose([Order((), 1)])
    (complaint,) = seen
    assert len(complaint.completion) == MAX_COMPLAINT
    assert (complaint.status, complaint.detail) == (Status.PATCH_FAILED, "one\ntwo")


def test_an_operator_that_reads_neither_program_nor_status_is_broken() -> None:
    operator = Drawn(Toy(), Scripted(lambda request, number: "x"))
    operator.made = Written()
    with pytest.raises(RuntimeError, match="'drawn' read neither"):
        operator.propose([Order((), 1)])


def test_large_programs_are_refused_before_they_are_parsed() -> None:
    made, _ = rewrite(block("x = 1\n" * 20_000))
    assert (made.program, made.status) == (None, Status.SYNTAX_ERROR)
    assert "larger than 65536 bytes" in made.detail


def test_the_verdict_is_a_function_of_the_order_alone() -> None:
    def answer(request: Request, number: int) -> str:
        rng = random.Random(request.seed)
        return rng.choice(["", block(BROKEN), block(PROGRAM), block(GOOD), "no", block(GOOD * 2)])

    orders = [Order((python(PROGRAM),), seed) for seed in range(60)]
    operator = Rewrite(Toy(), Scripted(answer, continues=False), retries=1, redraws=1)
    together = operator.propose(orders)
    assert [operator.propose([order])[0] for order in orders] == together
    assert operator.propose(orders[::-1])[::-1] == together
    assert {None, Status.SYNTAX_ERROR} < {made.status for made in together}
    for made in together:
        assert made.status is None or made.attempts[-1].completion != block(GOOD)
        if made.program is not None and made.status is None:
            assert canonical_hash(made.program)


@pytest.mark.parametrize(("setting", "value"), [("retries", -1), ("redraws", -2), ("novelty", 0.0)])
def test_wrong_settings_are_named(setting: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{setting}: expected"):
        Rewrite(Toy(), Scripted(lines("")), **{setting: value})  # type: ignore[arg-type]
