"""Weights: fetched once, checked always, and one clear line where they cannot be had."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from elm.models import ModelError, build, weights
from elm.models.weights import Source, Weights, obtain

CONTENT = b"weights of a model"
KNOWN = Weights(
    description="",
    licence="Apache-2.0",
    file="model.gguf",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size=len(CONTENT),
    active_parameters=1,
    sources=(
        Source("package", "no-such-wheel", "1.0", "no_such_module_here"),
        Source("hub", "nobody/nothing"),
    ),
)


def fetcher(content):
    calls = []

    def fetch(source, file, folder):
        calls.append(source.kind)
        if content is None:
            raise OSError("network is unreachable")
        (folder / file).write_bytes(content)
        return folder / file

    return fetch, calls


def use(monkeypatch, content):
    fetch, calls = fetcher(content)
    monkeypatch.setattr(weights, "FETCH", {"package": fetch, "hub": fetch})
    return calls


def test_weights_are_fetched_once(tmp_path, monkeypatch):
    calls = use(monkeypatch, CONTENT)
    path = obtain("m", KNOWN, tmp_path)
    assert path.read_bytes() == CONTENT and calls == ["package"]
    assert obtain("m", KNOWN, tmp_path) == path and calls == ["package"]


def test_a_wrong_checksum_is_refused_and_names_the_file(tmp_path, monkeypatch):
    use(monkeypatch, CONTENT)
    path = obtain("m", KNOWN, tmp_path)
    path.write_bytes(b"something else")
    with pytest.raises(ModelError, match="wrong checksum") as caught:
        obtain("m", KNOWN, tmp_path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_fetched_weights_of_a_wrong_checksum_never_reach_the_cache(tmp_path, monkeypatch):
    use(monkeypatch, b"evil")
    with pytest.raises(ModelError, match="wrong checksum"):
        obtain("m", KNOWN, tmp_path)
    assert not list(tmp_path.rglob("*.gguf"))


def test_without_network_one_line_says_what_was_tried_and_what_to_do(tmp_path, monkeypatch):
    calls = use(monkeypatch, None)
    with pytest.raises(ModelError) as caught:
        obtain("m", KNOWN, tmp_path)
    message = str(caught.value)
    assert calls == ["package", "hub"] and "\n" not in message
    for part in ("no-such-wheel==1.0", "nobody/nothing", "unreachable", "model.gguf", "sha256"):
        assert part in message


def test_the_manifest_names_the_bundled_model():
    entry = weights.manifest()["smollm2"]
    assert len(entry.sha256) == 64 and entry.active_parameters == 134_515_008


def test_a_damaged_manifest_is_named(tmp_path):
    (tmp_path / "manifest.json").write_text('{"smollm2": 3}')
    with pytest.raises(ModelError, match=r"manifest\.json"):
        weights.manifest(tmp_path / "manifest.json")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "bundled", "name": "smollm2", "threads": 0}, "threads must be at least 1"),
        ({"kind": "bundled", "name": "smollm2", "threads": "two"}, r"model\.threads"),
        ({"kind": "bundled", "name": "smollm2", "topp": 1}, "topp"),
        ({"kind": "nonsense", "name": "x"}, r"model\.kind"),
        ({"kind": "transformers", "name": "x", "load_in_4bit": True, "load_in_8bit": True}, "both"),
    ],
)
def test_wrong_settings_are_named(settings, said):
    with pytest.raises(ModelError, match=said if said != "both" else "exclude each other"):
        build(settings)


def test_no_model_and_the_stub_need_no_torch():
    code = (
        "import sys, elm.models as m\n"
        "assert m.build({'kind': 'none', 'name': 'none'}) is None\n"
        "stub = m.build({'kind': 'stub', 'name': 'stub'})\n"
        "one = m.Request(prompt='def f():\\n    a = 1\\n    return a\\n\\ndef f():', seed=3)\n"
        "a, b = stub.complete([one, one])\n"
        "assert a.text == b.text and 'return a' in a.text, a.text\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_model_that_does_not_exist_is_one_clear_line(tmp_path, monkeypatch):
    pytest.importorskip("transformers")
    settings = {"kind": "transformers", "name": str(tmp_path / "nothing")}
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        build(settings)
    assert "\n" not in str(caught.value)
