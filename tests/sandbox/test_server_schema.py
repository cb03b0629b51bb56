"""What the server says of itself in OpenAPI, held against what it does, by `schemathesis`."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from served import serving

pytestmark = pytest.mark.slow

EXAMPLES = 25  # for each route
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def test_every_answer_is_as_described(tmp_path: Path):
    with serving(tmp_path, "--runs", "500", "--forget", "5") as server:
        url = f"http://{server.url}"
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        headers = {"Authorization": f"Bearer {server.token}"}
        tried = 0
        for found in schema.get_all_operations():
            operation = found.ok()
            if operation.path == "/v1/drain":
                continue  # it would end the server

            @hypothesis.settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(hypothesis.HealthCheck),
            )
            @hypothesis.given(case=operation.as_strategy())
            def hold(case: schemathesis.Case) -> None:
                nonlocal tried
                tried += 1
                response = case.call(base_url=url, headers=headers, timeout=60)
                case.validate_response(response, checks=CHECKS)

            hold()
        assert tried > 100
        assert server.result("result = 1")["artifact"] == 1
        assert not [event for event in server.events if event["level"] == "error"]
