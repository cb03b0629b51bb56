"""The HTTP side of a node: a Flask application that speaks JSON only.

Everything but `/healthz` and `/openapi.json` asks for the bearer token, on loopback too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from sandbox import log, strict
from sandbox.desk import Closed, Full, NotStarted
from sandbox.keys import KeyTrouble, checked
from sandbox.node import Node, NodeDraining, NodeFull
from sandbox.protocol import PROTOCOL_VERSION
from sandbox.web import bearer, openapi
from sandbox.web.evaluating import Grant, as_json, bundle_for
from sandbox.web.messages import AttachRequest, Draining, ErrorBody, EvaluateRequest, Health
from sandbox.web.metrics import CONTENT_TYPE, Metrics
from sandbox.web.refusals import Refusal

OPEN = ("/healthz", "/openapi.json")
RETRY_SECONDS = "1"
_T = TypeVar("_T")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class ServerSettings:
    """What an application is made with.

    Attributes:
        token: that opens it.
        version: of this software.
        max_body: bytes of one request.
        grant: what one evaluation may use at most.
    """

    token: str = field(repr=False)
    version: str
    max_body: int
    grant: Grant


def make_app(
    node: Node, metrics: Metrics, settings: ServerSettings, drain: Callable[[], None]
) -> Flask:
    """The application around a node.

    Args:
        node: whose slots it offers.
        metrics: counts requests, and shows all.
        settings: see there.
        drain: called for `POST /v1/drain`; returns at once.
    """
    app = Flask("sandbox", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body
    app.url_map.strict_slashes = False
    description = _encode(openapi.page(settings.version))

    def route(rule: str, method: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return app.route(rule, methods=[method], provide_automatic_options=False)

    @app.before_request
    def let_in() -> None:
        g.begun = time.monotonic()
        if request.path in OPEN:
            return
        wrong = bearer.problem(request.headers.get("Authorization"), settings.token)
        if wrong:
            metrics.refused()
            raise Refusal("unauthorized", wrong, {"WWW-Authenticate": 'Bearer realm="sandbox"'})

    @app.after_request
    def note(response: Response) -> Response:
        rule = request.url_rule.rule if request.url_rule is not None else "other"
        method = request.method if request.method in _METHODS else "other"
        metrics.requested(rule, method, response.status_code)
        if rule != "/healthz" or response.status_code != 200:
            log.event(
                "request",
                method=request.method[:20],
                path=request.path[:200],
                status=response.status_code,
                seconds=round(time.monotonic() - g.get("begun", time.monotonic()), 4),
                client=request.remote_addr,
            )
        return response

    @route("/healthz", "GET")
    def health() -> Response:
        fault = "" if node.draining else node.fault()
        state: Literal["ok", "draining", "failing"] = "failing" if fault else "ok"
        if node.draining:
            state = "draining"
        told = Health(
            status=state,
            level=node.level,
            slots=node.slots,
            version=settings.version,
            reason=fault,
        )
        return _json(told, 200 if state == "ok" else 503)

    @route("/openapi.json", "GET")
    def show_description() -> Response:
        return Response(description, mimetype="application/json")

    @route("/metrics", "GET")
    def show_metrics() -> Response:
        return Response(metrics.page(), content_type=CONTENT_TYPE)

    @route("/v1/status", "GET")
    def show_status() -> Response:
        return _json(node.status(settings.version))

    @route("/v1/evaluate", "POST")
    def evaluate() -> Response:
        asked = _read(EvaluateRequest)
        if node.draining:
            raise Refusal("draining", "this server is draining: ask another one")
        bundle = bundle_for(asked, settings.grant)
        try:
            evaluation = node.desk.evaluate(bundle, asked.files, asked.seed)
        except Full as error:
            raise Refusal("busy", str(error), {"Retry-After": RETRY_SECONDS}) from None
        except Closed as error:
            raise Refusal("draining", f"{error}: ask another one") from None
        except NotStarted as error:
            fault = node.fault_now()
            if fault:
                raise Refusal("no_slot", fault, {"Retry-After": "5"}) from None
            raise Refusal("bad_bundle", str(error)) from None
        return Response(as_json(evaluation), mimetype="application/json")

    @route("/v1/attach", "POST")
    def attach() -> Response:
        asked = _read(AttachRequest)
        if asked.protocol != PROTOCOL_VERSION:
            raise Refusal(
                "protocol_mismatch",
                f"the run speaks protocol {asked.protocol}, this server {PROTOCOL_VERSION}: "
                "install the same version on both sides",
            )
        check_address(asked.address)
        try:
            checked(asked.public_key)
        except KeyTrouble as error:
            raise Refusal("bad_key", f"public_key: {error}") from None
        try:
            return _json(node.attach(asked.run, asked.address, asked.public_key))
        except NodeDraining:
            raise Refusal("draining", "this server is draining: ask another one") from None
        except NodeFull:
            raise Refusal(
                "full",
                "this server works for as many runs as it takes (--runs); detach one, or ask "
                "another server",
                {"Retry-After": "30"},
            ) from None

    @route("/v1/attach/<path:run>", "DELETE")
    def detach(run: str) -> Response:
        if not node.detach(run):
            raise Refusal("unknown_run", f"no run {run[:200]!r} is attached to this server")
        return Response(status=204)

    @route("/v1/drain", "POST")
    def begin_drain() -> Response:
        drain()
        return _json(Draining(), 202)

    @app.errorhandler(Refusal)
    def refuse(refusal: Refusal) -> Response:
        return _error(refusal)

    @app.errorhandler(HTTPException)
    def refuse_http(error: HTTPException) -> Response:
        return _error(_translated(error, settings.max_body))

    @app.errorhandler(Exception)
    def break_down(error: Exception) -> Response:
        log.failure("internal", method=request.method, path=request.path[:200])
        return _error(Refusal("internal", "a defect of this server; its log tells more"))

    return app


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def check_address(address: str) -> None:
    """Raises Refusal for what is not tcp://host:port, with a host that can be one."""
    wrong = Refusal(
        "bad_address", f"address: expected tcp://host:port with a port number, got {address[:80]!r}"
    )
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise wrong from None
    plain = re.fullmatch(r"tcp://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}", address)
    if plain is None or not host or not port:
        raise wrong


def _read(kind: type[_T]) -> _T:
    """The body as one of the request structs. Raises Refusal."""
    if request.mimetype != "application/json":
        raise Refusal(
            "not_json",
            f"Content-Type: expected application/json, got {request.mimetype[:80] or 'none'}",
        )
    try:
        value = strict.parse(request.get_data(cache=False))
    except strict.NotPlain as error:
        raise Refusal("bad_json", str(error)) from None
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, OverflowError) as error:
        text = str(error)
        code = "bad_limits" if text.startswith("limits.") else "bad_request"
        raise Refusal(code, text) from None


def _json(value: object, status: int = 200) -> Response:
    return Response(_encode(value), status=status, mimetype="application/json")


def _error(refusal: Refusal) -> Response:
    message = refusal.message.encode("utf-8", "replace").decode()
    response = _json(ErrorBody(code=refusal.code, message=message), refusal.status)
    response.headers.update(refusal.headers)
    return response


def _translated(error: HTTPException, most: int) -> Refusal:
    """A refusal of Flask's or Werkzeug's in our words."""
    if isinstance(error, RequestEntityTooLarge):
        return Refusal("too_large", f"the body is over {most} bytes (--max-body)")
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        text = f"{request.method[:20]} is not allowed here, but {allowed or 'nothing'}"
        return Refusal("method_not_allowed", text, {"Allow": allowed})
    if error.code == 404:
        return Refusal("not_found", f"no {request.path[:200]} here; GET /openapi.json names all")
    if error.code is not None and error.code >= 500:
        return Refusal("internal", "a defect of this server; its log tells more")
    return Refusal("bad_http", str(error.description))
