"""An endpoint that fails in every way: what comes of the request, and what is said of it."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import endpoint_server as does
import pytest

import elm.models
from elm.models import FatalModelError, Message, ModelError, Request

ASK = Request(messages=(Message("system", "be brief"), Message("user", "hello")), seed=5)
FINE = does.answer("fine")
SILENT = {"prices": {"input": 1.0, "cached_input": 0.1, "output": 10.0}, "api_key_env": "ELM_NONE"}


@pytest.fixture
def server():
    with does.serving() as server:
        yield server


@pytest.fixture
def build(server):
    models = []

    def make(kind="openai", **more):
        settings = {
            "kind": kind,
            "name": "m" if kind == "openai" else "openai/m",
            "base_url": server.url,
            "pause_seconds": 0.01,
            "timeout_seconds": 20.0,
            "max_tries": 3,
            **SILENT,
            **more,
        }
        models.append(elm.models.build(settings))
        return models[-1]

    yield make
    for model in models:
        model.close()


def test_an_answer_is_a_completion_and_its_price(server, build):
    server.plan = [
        does.answer(
            "x = 1",
            usage={
                "prompt_tokens": 1000,
                "completion_tokens": 200,
                "prompt_tokens_details": {"cached_tokens": 600},
            },
        )
    ]
    model = build(extra_body={"top_k": 5}, headers={"X-Title": "t"}, top_p=0.9)
    (done,) = model.complete([ASK])
    assert (done.text, done.finish_reason, done.tries, done.error) == ("x = 1", "stop", 1, "")
    assert (done.prompt_tokens, done.cached_tokens, done.completion_tokens) == (1000, 600, 200)
    assert done.cost == pytest.approx((400 + 60 + 2000) / 1e6) and done.latency > 0
    (asked,) = server.asked
    assert asked["path"] == "/v1/chat/completions" and asked["headers"]["X-Title"] == "t"
    assert asked["body"] == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "hello"},
        ],
        "max_tokens": 1024,
        "temperature": 1.0,
        "top_p": 0.9,
        "seed": 5,
        "top_k": 5,
    }


def test_what_is_set_to_nothing_is_not_sent(server, build):
    model = build(temperature=None, seed=False, max_tokens_field="max_completion_tokens")
    model.complete([ASK])
    assert set(server.asked[0]["body"]) == {"model", "messages", "max_completion_tokens"}


def test_seeds_fit_what_endpoints_take(server, build):
    build().complete([Request(prompt="p", seed=(1 << 63) - 5)])
    assert 0 <= server.asked[0]["body"]["seed"] < 1 << 31


def test_an_answer_is_begun_for_the_endpoint_only_where_it_goes_on(server, build):
    begun = Request(messages=ASK.messages, prefill="def f():", seed=1)
    build().complete([begun])
    build(prefill=True).complete([begun])
    roles = [[turn["role"] for turn in asked["body"]["messages"]] for asked in server.asked]
    assert roles == [["system", "user"], ["system", "user", "assistant"]]
    assert server.asked[1]["body"]["messages"][2]["content"] == "def f():"


def test_the_other_api_continues_texts_and_conversations(server, build):
    server.plan = [does.answer("    return 1")]
    model = build(api="completions")
    (done,) = model.complete([Request(prompt="def f():\n", seed=1)])
    assert done.text == "    return 1"
    model.complete([Request(messages=ASK.messages, prefill="def", seed=1)])
    assert [asked["path"] for asked in server.asked] == ["/v1/completions"] * 2
    assert server.asked[0]["body"]["prompt"] == "def f():\n"
    assert server.asked[1]["body"]["prompt"].endswith("### user\nhello\n\n### assistant\ndef")


def test_the_rule_of_a_request_cuts_its_text(server, build):
    server.plan = [does.answer("abcdef", finish="length")]
    (done,) = build().complete([Request(prompt="p", seed=1, stop=lambda text: 2)])
    assert (done.text, done.finish_reason) == ("ab", "stop")
    (done,) = build().complete([Request(prompt="p", seed=1, stop=lambda text: None)])
    assert (done.text, done.finish_reason) == ("abcdef", "length")


# What an endpoint answers, and what comes of it: the text, how it ended, and tokens.
ANSWERS = {
    "empty content": (does.answer(""), "", "stop", (100, 20)),
    "null content": (does.answer(None), "", "stop", (100, 20)),
    "only thought": (does.answer(None, finish="length"), "", "length", (100, 20)),
    "200 KB": (does.answer("x" * 200_000), "x" * 200_000, "stop", (100, 20)),
    "a megabyte": (does.answer("y" * 1_000_000), "y" * 262_144, "length", (100, 20)),
    "not UTF-8": (
        does.raw(b'{"choices":[{"message":{"content":"a\xff\xfeb"}}]}'),
        "a\ufffd\ufffdb",
        "stop",
        (8, 1),
    ),
    "lone surrogates": (does.answer("a\ud800b"), "a?b", "stop", (100, 20)),
    "parts": (
        does.answer([{"type": "text", "text": "a"}, {"type": "image"}, 7, {"text": "b"}]),
        "ab",
        "stop",
        (100, 20),
    ),
    "odd finish": (does.answer("a", finish=7), "a", "stop", (100, 20)),
    "no usage": (does.answer("12345678", usage=None), "12345678", "stop", (8, 2)),
    "senseless usage": (
        does.answer(
            "12345678", usage={"prompt_tokens": -3, "completion_tokens": 1 << 80, "x": "y"}
        ),
        "12345678",
        "stop",
        (8, 2),
    ),
    "usage of words": (
        does.answer("1234", usage={"prompt_tokens": "7", "completion_tokens": True}),
        "1234",
        "stop",
        (8, 1),
    ),
    "usage that is none": (does.answer("1234", usage=[1]), "1234", "stop", (8, 1)),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_odd_answer_is_still_an_answer(server, build, name):
    behaviour, text, finish, tokens = ANSWERS[name]
    server.plan = [behaviour]
    (done,) = build().complete([ASK])
    assert done.text == text and done.finish_reason == finish and done.error == ""
    assert (done.prompt_tokens, done.completion_tokens) == tokens


def test_more_cached_tokens_than_tokens_cost_nothing_less_than_nothing(server, build):
    usage = {"prompt_tokens": 10, "completion_tokens": 0}
    usage["prompt_tokens_details"] = {"cached_tokens": 10**6}
    server.plan = [does.answer("a", usage=usage)]
    (done,) = build().complete([ASK])
    assert done.cached_tokens == 10 and done.cost == pytest.approx(10 * 0.1 / 1e6)


# What passes by itself, and one good answer behind it.
PASSING = {
    "status 500": (does.status(500), 2),
    "status 503 twice": (does.status(503), 3),
    "status 529 in the body": (does.as_json({"error": {"message": "busy", "code": 529}}), 2),
    "429": (does.status(429, "slow down"), 2),
    "429 with a time": (does.status(429, "slow down", Retry_After="0.05"), 2),
    "429 with nonsense": (does.status(429, "slow down", Retry_After="whenever"), 2),
    "408": (does.status(408), 2),
    "a body that is cut off": (does.cut, 2),
    "no word at all": (does.hang_up, 2),
    "half of a JSON": (does.raw(b'{"choices": ['), 2),
    "deep JSON": (does.raw(b"[" * 200_000), 2),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_asked_again(server, build, name):
    behaviour, tries = PASSING[name]
    server.plan = [behaviour] * (tries - 1) + [FINE]
    (done,) = build().complete([ASK])
    assert (done.text, done.tries, done.error) == ("fine", tries, "")
    assert len(server.asked) == tries


# What does not, after an answer has come before, and a word of what is said.
LASTING = {
    "500 for ever": (does.status(500, "on fire"), 3, "failed with status 500 (it said: on fire)"),
    "429 for ever": (does.status(429, "slow"), 3, "has had too many requests (it said: slow)"),
    "401": (does.status(401), 1, "refuses the key in ELM_NONE"),
    "403": (does.status(403), 1, "does not let the key in ELM_NONE use model 'm'"),
    "404": (does.status(404, "no such model"), 1, "has no model 'm', or nothing at this address"),
    "402": (does.status(402), 1, "wants to be paid first"),
    "no money left": (
        does.status(429, {"message": "empty", "code": "insufficient_quota"}),
        1,
        "wants to be paid first (it said: empty)",
    ),
    "too long": (
        does.status(400, "This model's maximum context length is 10 tokens"),
        1,
        "the prompt and model.max_new_tokens do not fit its context",
    ),
    "400": (
        does.status(400, "bad\nseed"),
        1,
        "refuses the request with status 400 (it said: bad s",
    ),
    "redirect": (
        does.status(307, "moved", Location="http://elsewhere/v1?key=1"),
        1,
        "sends us on to http://elsewhere/v1: set model.base_url",
    ),
    "web page": (does.raw(b"<html>Login</html>", "text/html"), 1, "answers with a web page"),
    "web page as JSON": (does.raw(b" <!doctype html>"), 1, "answers with a web page"),
    "page of status 502": (does.status(502, "<html>"), 3, "failed with status 502"),
    "no choices": (does.as_json({"id": "1"}), 1, "answers without choices"),
    "empty choices": (does.as_json({"choices": []}), 1, "answers with no choice at all"),
    "a choice of nothing": (does.as_json({"choices": [None]}), 1, "a choice that is no object"),
    "a content of numbers": (does.answer(12), 1, "a content that is no text"),
    "a list": (does.as_json([1, 2]), 1, "answers with JSON that is no object"),
    "a tool call": (
        does.as_json({"choices": [{"message": {"content": None, "tool_calls": [{"id": "1"}]}}]}),
        1,
        "the model called a tool and wrote nothing",
    ),
    "a filter": (
        does.answer("half a", finish="content_filter"),
        1,
        "content filter stopped the answer",
    ),
}


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_fails_this_request_alone_and_is_one_line(server, build, name):
    behaviour, tries, said = LASTING[name]
    server.plan = [FINE, *[behaviour] * tries, FINE]
    model = build()
    model.complete([ASK])
    failed, good = model.complete([ASK])[0], model.complete([ASK])[0]
    assert failed.finish_reason == "error" and failed.tries == tries and said in failed.error
    assert "\n" not in failed.error and len(failed.error) < 500
    assert good.text == "fine"
    assert len(server.asked) == tries + 2


def test_what_a_filter_stopped_was_paid_for(server, build):
    server.plan = [does.answer("half a", finish="content_filter")]
    (done,) = build().complete([ASK])
    assert done.error and done.completion_tokens == 20 and done.cost > 0


@pytest.mark.parametrize("behaviour", [does.hang(), does.drip()], ids=["silence", "drops"])
def test_no_request_takes_longer_than_it_may(server, build, behaviour):
    server.plan = [FINE, behaviour]
    model = build(timeout_seconds=1.5, max_tries=1)
    model.complete([ASK])
    (done,) = model.complete([ASK])
    assert "did not answer within 1.5 s (model.timeout_seconds)" in done.error


def test_an_answer_without_end_is_not_read_to_it(server, build, monkeypatch):
    monkeypatch.setattr("elm.models.endpoint.openai_client.MOST_BYTES", 1 << 20)
    server.plan = [does.raw(b" " * (3 << 20))]
    (done,) = build().complete([ASK])
    assert "answers with more than 1 MB" in done.error


# -- when all is lost ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (does.status(401), "refuses the key"),
        (does.status(404), "has no model"),
        (does.status(301, "", Location="http://h"), "sends us on"),
        (does.raw(b"<html>", "text/html"), "web page"),
    ],
    ids=["key", "model", "redirect", "page"],
)
def test_what_never_worked_and_cannot_ends_it_at_once(server, build, behaviour, said):
    server.plan = [behaviour]
    model = build()
    with pytest.raises(FatalModelError, match=said):
        model.complete([ASK])
    with pytest.raises(FatalModelError, match=said):
        model.complete([ASK])
    assert len(server.asked) == 1  # nobody was asked for the second


def test_an_endpoint_that_is_not_there_ends_it(server, build):
    server.shutdown()
    server.server_close()
    model = build()
    with pytest.raises(FatalModelError, match=r"http://127.0.0.1:\d+/v1 cannot be reached"):
        model.complete([ASK])


def test_a_name_that_no_host_has_ends_it(build):
    with pytest.raises(FatalModelError, match=r"http://nowhere\.invalid/v1 cannot be reached"):
        build(base_url="http://nowhere.invalid/v1").complete([ASK])


def test_what_fails_from_the_start_ends_it_after_eight_in_a_row(server, build):
    server.plan = [does.status(400, "no such parameter")]
    model = build()
    for _ in range(7):
        assert model.complete([ASK])[0].error
    with pytest.raises(FatalModelError, match="no such parameter"):
        model.complete([ASK])


def test_a_key_that_is_withdrawn_ends_it_after_eight_in_a_row(server, build):
    model = build()
    model.complete([ASK])
    server.plan = [does.status(401)] * 7 + [FINE] + [does.status(401)]
    for _ in range(8 + 7):
        model.complete([ASK])
    with pytest.raises(FatalModelError, match="refuses the key"):
        model.complete([ASK])


def test_single_bad_requests_never_end_what_works(server, build):
    model = build()
    model.complete([ASK])
    server.plan = [does.status(400)]
    assert all(model.complete([ASK])[0].error for _ in range(20))


def test_an_outage_of_all_requests_at_one_time_is_not_the_end(server, build):
    model = build(concurrency=16, max_tries=1)
    model.complete([ASK])
    server.plan = [does.status(503)] * 16 + [FINE]
    assert all(done.error for done in model.complete([ASK] * 16))
    assert model.complete([ASK])[0].text == "fine"
    server.plan = [does.status(503)]
    with pytest.raises(FatalModelError, match="status 503"):
        for _ in range(40):
            model.complete([ASK])


def test_what_was_paid_for_is_handed_on_before_it_ends(server, build):
    model = build(concurrency=1)
    server.plan = [FINE, *[does.status(401)] * 8]
    done = model.complete([ASK] * 9)
    assert [each.text for each in done] == ["fine"] + [""] * 8
    with pytest.raises(FatalModelError):
        model.complete([ASK])


# -- many at one time ---------------------------------------------------------------------------


def test_no_more_requests_at_one_time_than_it_may_and_answers_in_order(server, build):
    server.plan = [does.answer(lambda request: request["messages"][0]["content"], delay=0.1)]
    model = build(concurrency=5)
    asked = [Request(messages=(Message("user", f"n{i}"),), seed=i) for i in range(20)]
    assert [done.text for done in model.complete(asked)] == [f"n{i}" for i in range(20)]
    assert 2 <= server.most_at_once <= 5


def test_many_threads_may_ask_at_one_time(server, build):
    server.plan = [does.answer(lambda request: request["messages"][0]["content"], delay=0.05)]
    model = build(concurrency=8)
    asked = [Request(messages=(Message("user", f"n{i}"),), seed=i) for i in range(32)]
    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(lambda one: model.complete([one])[0].text, asked))
    assert done == [f"n{i}" for i in range(32)]
    assert 2 <= server.most_at_once <= 8


def test_one_bad_request_among_many_touches_no_other(server, build):
    def behave(handler, request):
        bad = request["messages"][0]["content"] == "n3"
        (does.status(400, "no") if bad else does.answer("fine"))(handler, request)

    server.plan = [behave]
    asked = [Request(messages=(Message("user", f"n{i}"),), seed=i) for i in range(6)]
    done = build().complete(asked)
    assert [bool(each.error) for each in done] == [i == 3 for i in range(6)]


def test_closing_ends_those_who_wait(server, build):
    server.plan = [does.hang()]
    model = build()
    caught = []

    def ask():
        try:
            model.complete([ASK])
        except ModelError as error:
            caught.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    while not server.asked:
        thread.join(0.01)
    model.close()
    thread.join(30)
    assert caught == ["model m: it was closed"]
    model.close()
    with pytest.raises(ModelError, match="it was closed"):
        model.complete([ASK])
    assert "endpoint m" not in {each.name for each in threading.enumerate()}


# -- other vendors ------------------------------------------------------------------------------


def test_litellm_behaves_alike(server, build):
    model = build("litellm", extra_body={"top_k": 5}, headers={"X-Title": "t"})
    (done,) = model.complete([ASK])
    assert (done.text, done.prompt_tokens, done.completion_tokens) == ("fine", 100, 20)
    assert done.cost == pytest.approx((100 + 200) / 1e6)
    body = server.asked[0]["body"]
    assert body["model"] == "m" and body["seed"] == 5 and body["top_k"] == 5
    assert server.asked[0]["headers"].get("X-Title", server.asked[0]["headers"].get("x-title"))
    for name in ("empty content", "null content", "200 KB", "a megabyte"):
        behaviour, text, finish, tokens = ANSWERS[name]
        server.plan = [behaviour]
        (done,) = model.complete([ASK])
        assert (done.text, done.finish_reason, done.error) == (text, finish, "")
        assert (done.prompt_tokens, done.completion_tokens) == tokens
    for name in ("status 500", "429", "a body that is cut off", "no word at all"):
        server.plan = [PASSING[name][0], FINE]
        (done,) = model.complete([ASK])
        assert (done.text, done.tries) == ("fine", 2), name
    for name in ("401", "404", "too long", "400"):
        behaviour, tries, said = LASTING[name]
        server.plan = [behaviour, FINE]
        (done,) = model.complete([ASK])
        assert done.tries == tries and said.replace("'m'", "'openai/m'") in done.error, name
        assert "litellm." not in done.error
        assert model.complete([ASK])[0].text == "fine"


def test_litellm_with_a_wrong_key_ends_it_at_once(server, build):
    server.plan = [does.status(401)]
    with pytest.raises(FatalModelError, match="refuses the key in ELM_NONE"):
        build("litellm").complete([ASK])


def test_litellm_reads_no_file_of_keys_into_the_environment(server, build, monkeypatch, tmp_path):
    import os

    (tmp_path / ".env").write_text("ELM_CANARY=1\n")
    monkeypatch.chdir(tmp_path)
    build("litellm").complete([ASK])
    assert "ELM_CANARY" not in os.environ
    json.dumps(server.asked)
