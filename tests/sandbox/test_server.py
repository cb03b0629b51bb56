"""The HTTP server with real slots: answers, refusals, attacks."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from served import Server, serving
from slot_bench import make_bundle

from sandbox.keys import KeyPair
from sandbox.protocol import PROTOCOL_VERSION, Evaluation
from sandbox.web.refusals import CODES

GOOD = "result = 6 * 7"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), "--max-body", "100000") as server:
        yield server


def attach_body(**changes: object) -> dict[str, object]:
    return {
        "run": "nobody",
        "address": "tcp://127.0.0.1:9",
        "public_key": KeyPair.new().public,
        "protocol": PROTOCOL_VERSION,
    } | changes


def test_it_says_what_it_is(server: Server):
    health = server.ask("GET", "/healthz", headers={"Authorization": ""})
    status = server.ask("GET", "/v1/status").body
    assert health.status == 200
    assert health.body["status"] == "ok"
    assert health.body["level"] == status["level"] in ("L2", "L3")
    assert health.body["slots"] == status["slots"] == 2
    assert status["protocol"] == PROTOCOL_VERSION
    assert status["public_key"] == server.public_key
    assert (status["runs"], status["draining"]) == ([], False)
    assert status["desk"]["most"] == 16


def test_a_script_is_executed(server: Server):
    found = server.result("print('hello')\nresult = {'a': [1, 2.5]}")
    assert msgspec.convert(found, Evaluation)
    assert (found["status"], found["artifact"]) == ("ok", {"a": [1, 2.5]})
    assert found["logs"] == "hello\n"
    assert found["level"] in ("L2", "L3")


def test_the_seed_decides_what_is_random(server: Server):
    program = "import random\nresult = random.random()"
    first, again, other = (server.result(program, seed=seed)["artifact"] for seed in (1, 1, 2))
    assert first == again != other


def test_a_failing_program_is_an_answer(server: Server):
    found = server.result("1 / 0")
    assert found["status"] == "runtime_error"
    assert "ZeroDivisionError" in found["detail"]


def test_an_environment_scores_by_its_name(server: Server):
    from elm.build import build_bundle, build_environment
    from sandbox.bundles import environment_bundle

    settings = {"target": "hello"}
    environment = build_environment({"name": "string", **settings})
    seed = environment.seeds()[0]
    body = {"files": seed.program.files, "environment": "string", "settings": settings}
    reply = server.ask("POST", "/v1/evaluate", body)
    assert reply.status == 200
    assert reply.body["status"] == "ok"
    assert reply.body["fitness"] is not None
    # A run sends what the server makes by itself: one bundle, one digest.
    assert environment_bundle("string", settings).digest == build_bundle(environment).digest


def test_a_server_opens_no_file_for_a_stranger(server: Server, tmp_path: Path):
    secret = tmp_path / "puzzles.json"
    secret.write_text("[]")
    for path in (secret, tmp_path / "missing.json"):
        body = {
            "files": {"sol.py": "def sol(): return 1"},
            "environment": "puzzles",
            "settings": {"file": str(path)},
        }
        reply = server.ask("POST", "/v1/evaluate", body)
        assert 400 <= reply.status < 500
        assert "a server opens no files of its own" in str(reply.body)


def test_a_bundle_is_taken_whole(server: Server):
    bundle = msgspec.to_builtins(make_bundle())
    found = server.result("def main(): return 3", bundle=bundle)
    assert (found["status"], found["fitness"], found["metrics"]) == ("ok", 3.0, {"twice": 6.0})
    bad = server.result("def main(): return 'three'", bundle=bundle)
    assert bad["status"] == "bad_result"


def test_programs_see_nothing_of_the_server(server: Server):
    program = "import os\nresult = sorted(os.environ)"
    seen = server.result(program)["artifact"]
    assert "SECRET_OF_THE_SERVER" not in seen
    assert not {"PATH", "PWD", "SERVER_SOFTWARE", "PYTHONPATH"} & set(seen)
    found = server.result(f"result = open({str(server.token_file)!r}).read()")
    assert found["status"] in ("runtime_error", "violation")


def test_attacks_leave_the_server_as_it_was(server: Server):
    worker = server.worker
    attacks = {
        "while True: pass": "timeout",
        "x = bytearray(10**10)": "memory",
        "import os\nwhile True: os.fork()": "violation",
        "print('x' * 10**7)\nresult = 'y' * 10**7": "output_limit",
        "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)": None,
        "import os\nos._exit(0)": None,
    }
    found: dict[str, str] = {}

    def attack(program: str) -> None:
        limits = {"cpu_seconds": 1, "wall_seconds": 20, "memory_mb": 512}
        found[program] = server.result(program, limits=limits)["status"]

    threads = [threading.Thread(target=attack, args=(program,)) for program in attacks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == set(attacks)
    for program, status in attacks.items():
        assert found[program] != "ok"
        assert status is None or found[program] == status, program
    for number in (1, 2):
        assert server.result(f"result = {number}")["artifact"] == number
    assert server.worker == worker
    assert server.up()


def test_many_at_once_are_answered_or_told_to_wait(server: Server):
    program = "import time\ntime.sleep(0.2)\nresult = 1"
    replies = []
    threads = [
        threading.Thread(target=lambda: replies.append(server.evaluate(program))) for _ in range(22)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == 22
    good = [reply for reply in replies if reply.status == 200]
    busy = [reply for reply in replies if reply.status != 200]
    assert len(good) >= 16
    assert all(reply.body["artifact"] == 1 for reply in good)
    for reply in busy:
        assert (reply.status, reply.code) == (503, "busy")
        assert int(reply.headers["Retry-After"]) > 0


PROGRAM = {"files": {"a.py": GOOD}}
EVALUATE = ("POST", "/v1/evaluate")
ATTACH = ("POST", "/v1/attach")


@pytest.mark.parametrize(
    ("route", "body", "code", "words"),
    [
        (EVALUATE, b"{", "bad_json", "not one JSON document"),
        (EVALUATE, b'{"files": {}} {}', "bad_json", "not one JSON document"),
        (EVALUATE, b'{"files": {"a": ""}, "seed": NaN}', "bad_json", "NaN"),
        (EVALUATE, b'{"files": {}, "files": {}}', "bad_json", "a key twice"),
        (EVALUATE, b'{"files": ' + b"[" * 200 + b"]" * 200 + b"}", "bad_json", "deep"),
        (EVALUATE, b"\xff", "bad_json", "UTF-8"),
        (EVALUATE, b"x" * 100_001, "too_large", "--max-body"),
        (EVALUATE, b"[]", "bad_request", "Expected `object`"),
        (EVALUATE, {}, "bad_request", "files"),
        (EVALUATE, {"files": {}}, "bad_request", "$.files"),
        (EVALUATE, {"files": {"a": 1}}, "bad_request", "$.files"),
        (EVALUATE, PROGRAM | {"sed": 1}, "bad_request", "`sed`"),
        (EVALUATE, PROGRAM | {"seed": -1}, "bad_request", "$.seed"),
        (EVALUATE, PROGRAM | {"limits": {"cpu": 1}}, "bad_request", "$.limits"),
        (EVALUATE, {"files": {"a": "", "b": ""}}, "bad_request", "one file"),
        (EVALUATE, PROGRAM | {"settings": {"a": 1}}, "bad_request", "settings"),
        (EVALUATE, PROGRAM | {"limits": {"cpu_seconds": 0}}, "bad_limits", "above 0"),
        (EVALUATE, PROGRAM | {"limits": {"wall_seconds": 301}}, "bad_limits", "at most 300"),
        (EVALUATE, PROGRAM | {"limits": {"memory_mb": 10**300}}, "bad_limits", "at most 4096"),
        (EVALUATE, PROGRAM | {"environment": "strnig"}, "unknown_environment", "'string'"),
        (
            EVALUATE,
            PROGRAM | {"environment": "string", "settings": {"tarjet": "x"}},
            "bad_settings",
            "'target'",
        ),
        (
            EVALUATE,
            PROGRAM | {"environment": "string", "settings": {"name": "image"}},
            "bad_settings",
            "name",
        ),
        (EVALUATE, PROGRAM | {"preload": ["no_such"]}, "bad_bundle", "pip install 'no_such'"),
        (ATTACH, attach_body(protocol=PROTOCOL_VERSION + 1), "protocol_mismatch", "same version"),
        (ATTACH, attach_body(address="http://127.0.0.1:9"), "bad_address", "tcp://host:port"),
        (ATTACH, attach_body(address="tcp://127.0.0.1:0"), "bad_address", "tcp://host:port"),
        (ATTACH, attach_body(address="tcp://a b:9"), "bad_address", "tcp://host:port"),
        (ATTACH, attach_body(public_key="short"), "bad_key", "40 characters"),
        (ATTACH, attach_body(run=""), "bad_request", "$.run"),
        (("DELETE", "/v1/attach/nobody"), None, "unknown_run", "nobody"),
        (("GET", "/v2"), None, "not_found", "/openapi.json"),
        (("GET", "/v1/evaluate"), None, "method_not_allowed", "POST"),
        (("POST", "/healthz"), None, "method_not_allowed", "GET"),
    ],
)
def test_a_refusal_has_its_code_and_says_what_to_do(server: Server, route, body, code, words):
    raw = body if isinstance(body, bytes) else None
    reply = server.ask(*route, None if raw else body, raw=raw)
    assert (reply.code, reply.status) == (code, CODES[code][0])
    assert set(reply.body) == {"code", "message"}
    assert words in reply.body["message"]
    assert "\n" not in reply.body["message"]


def test_other_content_types_are_not_read(server: Server):
    raw = json.dumps(PROGRAM).encode()
    reply = server.ask(*EVALUATE, raw=raw, headers={"Content-Type": "text/plain"})
    assert (reply.status, reply.code) == (415, "not_json")


def test_a_bundle_with_impossible_limits_is_refused(server: Server):
    bundle = msgspec.to_builtins(make_bundle())
    bundle["judge_limits"]["memory_mb"] = 100_000
    reply = server.evaluate(GOOD, bundle=bundle)
    assert (reply.code, "judge_limits.memory_mb" in reply.body["message"]) == ("bad_limits", True)
    bundle["limits"]["memory_mb"] = 0
    assert server.evaluate(GOOD, bundle=bundle).code == "bad_limits"


def test_a_judge_that_does_not_import_is_the_clients_fault(server: Server):
    bundle = msgspec.to_builtins(make_bundle())
    entry = bundle["judge"]["entry"]
    bundle["judge"]["modules"][entry] = "raise RuntimeError('not today')"
    reply = server.evaluate(GOOD, bundle=bundle)
    assert (reply.status, reply.code) == (422, "bad_bundle")
    assert "not today" in reply.body["message"]
    assert server.result(GOOD)["artifact"] == 42


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("", "missing"),
        ("Basic dXNlcjp4", "scheme Bearer"),
        ("Bearer", "wrong"),
        ("Bearer wrong", "wrong"),
        ("Bearer \xe9\xff", "wrong"),
    ],
)
def test_without_the_token_nothing_opens(server: Server, header: str, words: str):
    for method, path in (
        ("GET", "/v1/status"),
        ("POST", "/v1/drain"),
        ("GET", "/metrics"),
        ("GET", "/no/such"),
    ):
        reply = server.ask(method, path, headers={"Authorization": header})
        assert (reply.status, reply.code) == (401, "unauthorized")
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")
        assert words in reply.body["message"]
        assert server.token not in reply.body["message"]


def test_what_is_not_http_gets_an_error_in_json(server: Server):
    host, _, port = server.url.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as link:
        link.sendall(b"GET / HTTP/9.9\r\n\r\n")
        answer = link.makefile("rb").read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 400 " in head.splitlines()[0]
    assert json.loads(body)["code"] == "bad_http"


def test_the_description_names_every_code_and_route(server: Server):
    page = server.ask("GET", "/openapi.json", headers={"Authorization": ""}).body
    assert page["openapi"].startswith("3.1")
    text = json.dumps(page)
    assert [code for code in CODES if f"`{code}`" not in text] == []
    assert set(page["paths"]) == {
        *("/healthz", "/openapi.json", "/metrics", "/v1/status"),
        *("/v1/evaluate", "/v1/attach", "/v1/attach/{run}", "/v1/drain"),
    }


def test_metrics_count_what_happened(server: Server):
    def value(line: str) -> float:
        page = server.ask("GET", "/metrics").body
        return sum(float(each.split()[-1]) for each in page.splitlines() if each.startswith(line))

    ok = 'sandbox_evaluations_total{status="ok",way="http"}'
    before, failures = value(ok), value("sandbox_auth_failures_total")
    server.result(GOOD)
    server.ask("GET", "/v1/status", headers={"Authorization": "Bearer wrong"})
    assert value(ok) == before + 1
    assert value("sandbox_auth_failures_total") == failures + 1
    assert value("sandbox_slots") == 2
    assert value("sandbox_busy") == 0
    assert value("sandbox_level{") == 1
    assert value('sandbox_http_requests_total{code="422"') > 0
    assert value("sandbox_evaluation_wall_seconds_count") >= before + 1


def test_the_log_is_json_and_tells_no_secret(server: Server):
    server.ask("GET", f"/v1/status?token={server.token}")
    events = server.events
    assert all({"time", "level", "event"} <= set(event) for event in events)
    requests = [event for event in events if event["event"] == "request"]
    assert {"method", "path", "status", "seconds", "client"} <= set(requests[-1])
    assert server.token not in server.log
    assert server.public_key not in server.log
    assert not [event for event in events if event["level"] == "error"]


def test_the_token_file_is_for_its_owner_alone(server: Server):
    assert Path(server.token_file).stat().st_mode & 0o777 == 0o600
    assert len(server.token) >= 32
    assert server.token not in server.out
