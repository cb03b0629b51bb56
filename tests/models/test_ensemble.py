"""Several models that write one run."""

from __future__ import annotations

import random
import threading

import endpoint_server as does
import pytest

import elm.models
from elm.allocation import Outcome
from elm.models import (
    Completion,
    FatalModelError,
    LanguageModel,
    Message,
    ModelError,
    Request,
)
from elm.models.ensemble import Ensemble, EnsembleSettings, load


class Member(LanguageModel):
    """Writes its name and the request's seed, or fails as it was told."""

    def __init__(self, name, unit=1, lanes=4, **more):
        self.name, self.unit, self.lanes = name, unit, lanes
        self.active_parameters = {name: 7}
        self.error = None
        self.meeting = None
        self.asked = []
        self.closed = False
        for key, value in more.items():
            setattr(self, key, value)

    def complete(self, requests):
        if self.meeting is not None:
            self.meeting.wait(30)
        self.asked.append(list(requests))
        if self.error is not None:
            raise self.error
        return [
            Completion(text=f"{self.name} {r.seed}", prompt_tokens=1, completion_tokens=1)
            for r in requests
        ]

    def close(self):
        self.closed = True


def ensemble(members, **settings):
    """Of members that are there already, by the name of each."""
    return load(
        EnsembleSettings(
            kind="ensemble",
            members={
                name: {"kind": name, "weight": weight} for name, (_, weight) in members.items()
            },
            **settings,
        ),
        lambda one: members[one["kind"]][0],
    )


def both(**settings):
    fast, strong = Member("a"), Member("b")
    return ensemble({"fast": (fast, 3.0), "strong": (strong, 1.0)}, **settings), fast, strong


def asks(*names):
    return [Request(prompt="p", seed=i, model=name) for i, name in enumerate(names)]


def test_each_request_goes_to_its_member_and_answers_keep_their_order():
    model, fast, strong = both()
    done = model.complete(asks("strong", "fast", "strong", "fast"))
    assert [each.text for each in done] == ["b 0", "a 1", "b 2", "a 3"]
    assert [each.model for each in done] == ["strong", "fast", "strong", "fast"]
    assert [len(part) for part in fast.asked + strong.asked] == [2, 2]  # one call each


def test_who_names_no_member_is_drawn_by_weight_from_its_seed():
    model, *_ = both()
    asked = [Request(prompt="p", seed=seed) for seed in range(2000)]
    done = [each.model for each in model.complete(asked)]
    assert 0.7 < done.count("fast") / 2000 < 0.8
    assert done == [each.model for each in model.complete(asked)]
    assert [each.model for each in model.complete(asked[::-1])] == done[::-1]


def test_members_work_at_the_same_time():
    model, fast, strong = both()
    fast.meeting = strong.meeting = threading.Barrier(2)
    assert len(model.complete(asks("fast", "strong"))) == 2  # else nobody would ever come


def test_what_fails_with_one_member_fails_its_requests_alone():
    model, fast, _ = both()
    fast.error = ModelError("no memory")
    done = model.complete(asks("fast", "strong", "fast"))
    assert [each.finish_reason for each in done] == ["error", "stop", "error"]
    assert done[0].error == "model.members.fast: no memory" and done[0].model == "fast"


def test_a_member_that_is_lost_ends_it_once_what_was_paid_for_is_handed_on():
    model, fast, _ = both()
    fast.error = FatalModelError("wrong key")
    assert [each.text for each in model.complete(asks("fast", "strong"))] == ["", "b 1"]
    with pytest.raises(FatalModelError, match=r"model\.members\.fast: wrong key"):
        model.complete(asks("strong"))


def test_a_lost_member_alone_ends_it_at_once():
    model, fast, _ = both()
    fast.error = FatalModelError("wrong key")
    with pytest.raises(FatalModelError, match=r"model\.members\.fast: wrong key"):
        model.complete(asks("fast"))


def test_a_member_that_is_not_there_is_an_error_of_that_request():
    model, *_ = both()
    done = model.complete(asks("slow", "fast"))
    assert done[0].error == "ensemble: no member 'slow', only fast, strong"
    assert done[1].text == "a 1"


def test_it_is_what_all_its_members_are():
    model, *_ = both()
    assert (model.unit, model.lanes, model.continues, model.reproducible) == (1, 4, True, True)
    assert model.active_parameters == {"fast": 7, "strong": 7} and model.priced
    chat = Member("chat", lanes=64, continues=False, prefills=False, reproducible=False)
    chat.priced, chat.active_parameters = False, {"chat": None}
    here = Member("here", unit=32, lanes=1)
    mixed = ensemble({"chat": (chat, 1.0), "here": (here, 1.0)})
    # Micro-batches of the model that is here; the endpoint answers all of its part at once.
    assert (mixed.unit, mixed.lanes) == (32, 1)
    assert not (mixed.continues or mixed.prefills or mixed.reproducible or mixed.priced)
    assert mixed.active_parameters == {"chat": None, "here": 7}
    mixed.close()
    assert chat.closed and here.closed


def test_weights_share_out_the_children():
    model, *_ = both()
    chosen = model.allocation.ask(400, random.Random(1))
    assert chosen.count("fast") == 300


@pytest.mark.parametrize("policy", ["ucb", "thompson"])
def test_a_bandit_finds_the_better_member(policy):
    model, *_ = both(policy=policy, reward="entered")
    rng = random.Random(2)
    for _ in range(40):
        for arm in model.allocation.ask(8, rng):
            model.allocation.tell(
                Outcome(arm=arm, entered=rng.random() < (0.6 if arm == "strong" else 0.1))
            )
    assert model.allocation.ask(100, rng).count("strong") > 60


def test_members_that_cannot_be_had_are_named_and_the_others_closed():
    first = Member("a")

    def build(settings):
        if settings["kind"] == "a":
            return first
        raise ModelError("model.name: no such thing")

    settings = EnsembleSettings(kind="ensemble", members={"x": {"kind": "a"}, "y": {"kind": "b"}})
    with pytest.raises(ModelError, match=r"^model\.members\.y\.name: no such thing$"):
        load(settings, build)
    assert first.closed


STUB = {"kind": "stub", "name": "stub"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"members": {"a": STUB}}, "model.members: expected at least two"),
        ({"members": {"a": STUB, "b": {"kind": "ensemble"}}}, "model.members.b.kind"),
        ({"members": {"a": STUB, "b": STUB | {"weight": -1}}}, "model.members.b.weight"),
        ({"members": {"a": STUB, "b": STUB | {"weight": "x"}}}, "model.members.b.weight"),
        ({"members": {"a": STUB, "b": {"kind": "stbu"}}}, "model.members.b.kind: no 'stbu'"),
        (
            {"members": {"a": STUB, "b": {"kind": "openai", "name": "m", "concurrency": 0}}},
            "model.members.b.concurrency must be at least 1",
        ),
        ({"policy": "best"}, "model.policy: expected one of weights, ucb, thompson"),
        ({"floor": 2.0}, "model.floor"),
        ({"polcy": "ucb"}, "model.polcy: no such setting of kind 'ensemble', did you mean"),
    ],
)
def test_one_line_names_the_setting(wrong, said):
    settings = {"kind": "ensemble", "members": {"a": STUB, "b": STUB}, **wrong}
    with pytest.raises(ModelError) as caught:
        elm.models.build(settings)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_reward_for_money_needs_prices():
    model, fast, strong = both(policy="ucb", cost="money")
    model.close()
    fast.priced = False
    with pytest.raises(ModelError, match=r"model\.cost=money needs prices, and those of fast"):
        ensemble({"fast": (fast, 1.0), "strong": (strong, 1.0)}, policy="ucb", cost="money")


def test_two_endpoints_from_their_settings():
    member = {"kind": "openai", "api_key_env": "ELM_NONE", "prices": {"input": 1, "output": 1}}
    with does.serving() as one, does.serving() as other:
        other.plan = [does.answer("fine too")]
        model = elm.models.build(
            {
                "kind": "ensemble",
                "members": {
                    "one": member | {"name": "m", "base_url": one.url},
                    "other": member | {"name": "n", "base_url": other.url, "concurrency": 7},
                },
            }
        )
        try:
            assert isinstance(model, Ensemble)
            assert (model.unit, model.lanes, model.continues) == (1, 64, False)
            asked = [
                Request(messages=(Message("user", "u"),), seed=i, model=name)
                for i, name in enumerate(["one", "other", "one"])
            ]
            done = model.complete(asked)
            assert [each.text for each in done] == ["fine", "fine too", "fine"]
            assert [each.model for each in done] == ["one", "other", "one"]
            assert [each["body"]["model"] for each in other.asked] == ["n"]
        finally:
            model.close()
