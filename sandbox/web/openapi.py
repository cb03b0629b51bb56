"""The OpenAPI page of the server, built from the structs that it reads and writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from sandbox.protocol import Evaluation
from sandbox.web.messages import (
    Attached,
    AttachRequest,
    Draining,
    ErrorBody,
    EvaluateRequest,
    Health,
    NodeStatus,
)
from sandbox.web.refusals import CODES

_JSON = "application/json"
_TYPES = (
    Attached,
    AttachRequest,
    Draining,
    ErrorBody,
    EvaluateRequest,
    Evaluation,
    Health,
    NodeStatus,
)


def page(version: str) -> dict[str, Any]:
    """The whole description as plain data."""
    _, components = msgspec.json.schema_components(
        _TYPES, ref_template="#/components/schemas/{name}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sandbox server",
            "version": version,
            "description": "Executes programs that nobody trusts. A program that fails is an "
            "answer 200 with its status; every error is {code, message}.",
        },
        "paths": {
            "/healthz": {
                "get": {
                    "summary": "Whether programs can be executed at present",
                    "security": [],
                    "responses": {
                        "200": _answer("It can", Health),
                        "503": _answer("It cannot, or is draining", Health),
                        "500": _errors(("internal",)),
                    },
                }
            },
            "/openapi.json": {
                "get": {
                    "summary": "This page",
                    "security": [],
                    "responses": {
                        "200": _plain("The page", _JSON, {"type": "object"}),
                        "500": _errors(("internal",)),
                    },
                }
            },
            "/metrics": {
                "get": {
                    "summary": "Counters and gauges in the text format of Prometheus",
                    "responses": {
                        "200": _plain("The figures", "text/plain", {"type": "string"}),
                        **_refusals(),
                    },
                }
            },
            "/v1/status": {
                "get": {
                    "summary": "What the server says of itself",
                    "responses": {"200": _answer("The state", NodeStatus), **_refusals()},
                }
            },
            "/v1/evaluate": {
                "post": {
                    "summary": "Execute one program, and score it",
                    "requestBody": _body(EvaluateRequest),
                    "responses": {
                        "200": _answer("What came of it, whatever it did", Evaluation),
                        **_refusals(
                            *("bad_json", "too_large", "not_json", "bad_request"),
                            *("unknown_environment", "bad_settings", "bad_limits", "bad_bundle"),
                            *("busy", "draining", "no_slot"),
                        ),
                    },
                }
            },
            "/v1/attach": {
                "post": {
                    "summary": "Work for a run; asked again, it answers the same",
                    "requestBody": _body(AttachRequest),
                    "responses": {
                        "200": _answer("The worker that comes to the run", Attached),
                        **_refusals(
                            *("bad_json", "too_large", "not_json", "bad_request"),
                            *("bad_address", "bad_key", "protocol_mismatch", "full", "draining"),
                        ),
                    },
                }
            },
            "/v1/attach/{run}": {
                "delete": {
                    "summary": "Work for a run no more",
                    "parameters": [
                        {
                            "name": "run",
                            "in": "path",
                            "required": True,
                            "schema": {"type": "string", "minLength": 1},
                        }
                    ],
                    "responses": {
                        "204": {"description": "It is detached"},
                        **_refusals("unknown_run", "not_found", "method_not_allowed"),
                    },
                }
            },
            "/v1/drain": {
                "post": {
                    "summary": "Take nothing new, finish what runs, then end",
                    "responses": {"202": _answer("It drains", Draining), **_refusals()},
                }
            },
        },
        "security": [{"token": []}],
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _plain(text: str, kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {kind: {"schema": schema}}}


def _reference(struct: type) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{struct.__name__}"}


def _answer(text: str, struct: type) -> dict[str, Any]:
    return _plain(text, _JSON, _reference(struct))


def _body(struct: type) -> dict[str, Any]:
    return {"required": True, "content": {_JSON: {"schema": _reference(struct)}}}


def _errors(codes: Sequence[str]) -> dict[str, Any]:
    text = "; ".join(f"`{code}`: {CODES[code][1]}" for code in codes)
    schema = {"allOf": [_reference(ErrorBody), {"properties": {"code": {"enum": list(codes)}}}]}
    return _plain(text, _JSON, schema)


def _refusals(*codes: str) -> dict[str, Any]:
    """Responses by status for these codes and for those that every closed path has."""
    by_status: dict[str, list[str]] = {}
    for code in ("bad_http", "unauthorized", "internal", *codes):
        by_status.setdefault(str(CODES[code][0]), []).append(code)
    responses = {status: _errors(found) for status, found in sorted(by_status.items())}
    responses["401"]["headers"] = {
        "WWW-Authenticate": {"schema": {"type": "string"}, "required": True}
    }
    return responses
