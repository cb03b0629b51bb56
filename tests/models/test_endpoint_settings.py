"""What may be said of an endpoint, where its key is found, and what its answers cost."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
import yaml

import elm.models
from elm.models import ModelError
from elm.models.endpoint.failure import retry_after
from elm.models.endpoint.keys import Redactor, address, variable
from elm.models.endpoint.pauses import LONGEST, pause
from elm.models.endpoint.prices import look_up, snapshot
from elm.models.endpoint.settings import EndpointSettings, Prices

CONFIGS = Path(__file__).parents[2] / "configs" / "model"
CANARY = "sk-canary-0123456789abcdefghijk"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch, tmp_path):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "MINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def build(**more):
    model = elm.models.build({"kind": "openai", "name": "m", "base_url": "http://h/v1", **more})
    model.close()
    return model


@pytest.mark.parametrize("kind", ["openai", "litellm"])
def test_the_file_of_settings_has_all_of_them_with_their_defaults(kind):
    written = yaml.safe_load((CONFIGS / f"{kind}.yaml").read_text())
    assert list(written) == list(EndpointSettings.__struct_fields__)
    plain = EndpointSettings(kind=kind, name="???")
    variables = {"base_url_env": "OPENAI_BASE_URL", "api_key_env": "OPENAI_API_KEY"}
    for name, value in written.items():
        default = getattr(plain, name)
        assert (
            value == (variables.get(name) if kind == "openai" and default is None else default)
            or value is default
        )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"temprature": 1}, "model.temprature: no such setting of kind 'openai', did you mean"),
        ({"concurrency": 0}, "model.concurrency must be at least 1, got 0"),
        ({"concurrency": "many"}, "model.concurrency: Expected `int`"),
        ({"timeout_seconds": 0}, "model.timeout_seconds must be above 0"),
        ({"top_p": 2}, "model.top_p must be above 0 and at most 1"),
        ({"temperature": -1}, "model.temperature must not be below 0"),
        ({"api": "responses"}, "model.api: Invalid enum value"),
        ({"prices": {"input": -1, "output": 1}}, "model.prices.input must not be below 0"),
        ({"prices": {"input": 1}}, "model.prices: Object missing required field `output`"),
        ({"name": " "}, "model.name"),
        ({"base_url": "localhost:8000"}, "model.base_url: expected an address such as http://"),
        ({"api": "completions", "prefill": True}, "model.prefill=true is for model.api=chat"),
        ({"kind": "opnai"}, "model.kind: no 'opnai', known: none, stub"),
    ],
)
def test_one_line_names_the_setting(wrong, said):
    with pytest.raises(ModelError) as caught:
        build(**wrong)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "secret",
    [
        {"base_url": f"http://h/v1?key={CANARY}"},
        {"base_url": "http://user:pass-word@h/v1"},
        {"headers": {"Authorization": "Bearer x"}},
        {"headers": {"X-Note": CANARY}},
        {"extra_body": {"a": [{"b": CANARY}]}},
        {"extra_body": {"api_key": "x"}},
        {"name": CANARY},
    ],
)
def test_a_key_among_the_settings_is_refused_and_not_repeated(secret):
    with pytest.raises(ModelError, match="OPENAI_API_KEY") as caught:
        build(**secret)
    assert CANARY not in str(caught.value) and "pass-word" not in str(caught.value)


def test_the_key_comes_from_the_environment_before_the_file(monkeypatch):
    Path(".env").write_text("MINE='from $file'\nOTHER=\n")
    assert variable("MINE") == "from $file" and variable("OTHER") == ""
    monkeypatch.setenv("MINE", " from environment\n")
    assert variable("MINE") == "from environment"


def test_what_the_file_says_does_not_enter_the_environment(monkeypatch):
    import os

    Path(".env").write_text(f"OPENAI_API_KEY={CANARY}\nOPENAI_BASE_URL=http://h:1/v1\n")
    model = elm.models.build({"kind": "openai", "name": "m"})
    model.close()
    assert "OPENAI_API_KEY" not in os.environ and "OPENAI_BASE_URL" not in os.environ
    assert CANARY not in repr(model) and CANARY not in repr(vars(model))


def test_a_vendor_needs_a_key_and_a_server_of_ones_own_does_not():
    with pytest.raises(ModelError, match=r"there is no key: put it into OPENAI_API_KEY.*\.env"):
        build(base_url=None)
    build(base_url="http://localhost:1/v1")


@pytest.mark.parametrize("key", ["schlüssel-0123", "two words", "a\x07b"])
def test_a_key_that_cannot_be_one_is_refused_without_being_repeated(monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ModelError) as caught:
        build()
    assert str(caught.value) == "OPENAI_API_KEY: holds characters that no key has"


def test_the_example_file_names_the_default_variables():
    names = re.findall(r"^(\w+)=$", (CONFIGS.parents[1] / ".env.example").read_text(), re.M)
    settings = EndpointSettings(kind="openai", name="m")
    assert names == [settings.key_variable, settings.url_variable]


def test_a_vendor_has_its_own_variables():
    settings = EndpointSettings(kind="litellm", name="anthropic/claude-haiku-4-5")
    assert settings.key_variable == "ANTHROPIC_API_KEY"


def test_keys_are_taken_out_of_texts():
    hide = Redactor("secret+/key")
    assert hide.hide("a secret+/key b secret%2B%2Fkey") == "a [key] b [key]"
    line = hide.line(f"wrong\nkey: sk-ab**cd, Bearer abc.def and {CANARY}\x1b[31m")
    assert line == "wrong key: [key], Bearer [key] and [key]?[31m"
    assert "secret" not in repr(hide)
    assert address("https://me:pw@host:1/v1/?key=1#x") == "https://host:1/v1"


def test_prices_say_where_they_come_from_and_are_not_guessed():
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", snapshot().date) and snapshot().source
    assert len(snapshot().models) >= 36
    assert all(price.input > 0 and price.output > 0 for price in snapshot().models.values())
    assert (
        look_up("openai/gpt-4.1-mini")
        == look_up("gpt-4.1-mini")
        == Prices(input=0.4, output=1.6, cached_input=0.1)
    )
    assert look_up("gpt-4.1-mini-2099-01-01") is None


def test_cached_tokens_have_their_own_price():
    prices = Prices(input=2.0, cached_input=0.5, output=8.0)
    assert prices.cost(1000, 400, 100) == pytest.approx((600 * 2 + 400 * 0.5 + 100 * 8) / 1e6)
    assert Prices(input=2.0, output=8.0).cost(1000, 400, 0) == pytest.approx(0.002)


def test_unknown_prices_are_said_once_at_the_start(capsys):
    model = build()
    assert not model.priced
    assert "prices unknown" in capsys.readouterr().err
    assert build(name="gpt-4o").priced
    assert snapshot().date in capsys.readouterr().err
    assert build(prices={"input": 0, "output": 0}).priced
    assert capsys.readouterr().err == ""


def test_what_a_model_can_do_follows_its_settings():
    chat, text = build(), build(api="completions")
    assert (chat.continues, chat.prefills, chat.unit, chat.lanes) == (False, False, 1, 64)
    assert (text.continues, text.prefills, text.reproducible) == (True, True, False)
    assert build(prefill=True).prefills and build(concurrency=3).lanes == 3
    assert build(active_parameters=7).active_parameters == {"m": 7}


def test_pauses_grow_are_spread_and_have_a_bound():
    rng = random.Random(0)
    third = [pause(3, 1.0, None, rng) for _ in range(200)]
    assert 2.0 <= min(third) < 2.4 and 5.6 < max(third) <= 6.0
    assert pause(5000, 1.0, None, rng) <= LONGEST
    assert 7.0 <= pause(1, 1.0, 7.0, rng) <= 7.5
    assert pause(1, 1.0, 1e9, rng) == LONGEST
    assert pause(1, 1.0, -5.0, rng) >= 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 40.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:10 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_the_endpoint_may_say_when_to_come_back(headers, seconds):
    assert retry_after(headers, now=60.0) == seconds
