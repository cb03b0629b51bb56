"""What a run asks of a sandbox server over HTTP, and what is wrong where it gets no answer."""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.request
from typing import IO, Any, NoReturn
from urllib.parse import quote, urlsplit

import msgspec

from elm.dispatch.quota import one_line
from sandbox.keys import KeyTrouble, checked
from sandbox.protocol import PROTOCOL_VERSION

MOST_BYTES = 1_000_000  # of an answer
_CHUNK = 65_536


class ServerTrouble(Exception):
    """A server cannot be used now. One line to follow its URL; never holds the token."""


class ServerStatus(msgspec.Struct, frozen=True):
    """What a server says of itself."""

    node: str
    public_key: str
    level: str
    slots: int
    protocol: int
    draining: bool = False


class Attached(msgspec.Struct, frozen=True):
    """The worker that a server has started for a run."""

    node: str
    worker: str
    public_key: str
    protocol: int


class _Refusal(msgspec.Struct, frozen=True):
    code: str
    message: str = ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The token is for one server: it is not sent on to wherever that points to."""

    def redirect_request(self, *_: Any) -> None:
        return None


class ServerClient:
    """One server and the token for it.

    Args:
        url: of the server, without a slash at its end.
        token: sent to this server only.
        seconds: that one request may take.
    """

    def __init__(self, url: str, token: str, seconds: float = 5.0) -> None:
        self.url, self.host = url, urlsplit(url).hostname or ""
        self._token, self._seconds = token, seconds
        # No proxy: it would see the token.
        self._opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))

    def status(self) -> ServerStatus:
        """Raises ServerTrouble."""
        status = self._decode(self._ask("GET", "/v1/status"), ServerStatus)
        if status.protocol != PROTOCOL_VERSION:
            raise ServerTrouble(
                f"speaks protocol {status.protocol}, this run {PROTOCOL_VERSION}: install the "
                "same version on both sides"
            )
        self._check_key(status.public_key)
        return status

    def attach(self, run: str, address: str, public_key: str) -> Attached:
        """Asks it to work for a run that listens at an address. Raises ServerTrouble."""
        body = {
            "run": run,
            "address": address,
            "public_key": public_key,
            "protocol": PROTOCOL_VERSION,
        }
        attached = self._decode(self._ask("POST", "/v1/attach", body), Attached)
        self._check_key(attached.public_key)
        return attached

    def detach(self, run: str, seconds: float) -> None:
        """Asks it to work for the run no more. Raises ServerTrouble."""
        self._ask("DELETE", f"/v1/attach/{quote(run, safe='')}", seconds=seconds)

    # Inside -----------------------------------------------------------------------------------

    def _ask(
        self, method: str, path: str, body: object = None, seconds: float | None = None
    ) -> bytes:
        seconds = self._seconds if seconds is None else seconds
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        data = None
        if body is not None:
            data, headers["Content-Type"] = msgspec.json.encode(body), "application/json"
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        deadline = time.monotonic() + seconds
        try:
            with self._opener.open(request, timeout=seconds) as answer:
                return _read(answer, deadline)
        except urllib.error.HTTPError as error:
            with error:
                self._refused(error, deadline)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ServerTrouble(self._clean(_no_answer(error, seconds))) from None

    def _refused(self, error: urllib.error.HTTPError, deadline: float) -> NoReturn:
        if 300 <= error.code < 400:
            raise ServerTrouble(
                "redirects to another address, which is not followed: name the server's own URL"
            )
        try:
            refusal = msgspec.json.decode(_read(error, deadline), type=_Refusal)
        except (msgspec.DecodeError, OSError, http.client.HTTPException, RecursionError):
            kind = error.headers.get_content_type() if error.headers else "nothing"
            raise ServerTrouble(
                self._clean(
                    f"is no sandbox server: it answers {error.code} with {kind}; is the URL right?"
                )
            ) from None
        if error.code == 401:
            raise ServerTrouble("refuses the token of dispatch.token_file")
        raise ServerTrouble(
            self._clean(f"refuses: {refusal.message or refusal.code} ({refusal.code})")
        )

    def _decode(self, answer: bytes, kind: type[Any]) -> Any:
        try:
            return msgspec.json.decode(answer, type=kind)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ServerTrouble(
                self._clean(f"is no sandbox server: it answers something else ({error})")
            ) from None

    def _check_key(self, key: str) -> None:
        try:
            checked(key)
        except KeyTrouble as error:
            raise ServerTrouble(self._clean(f"gives a public key that is none: {error}")) from None

    def _clean(self, text: str) -> str:
        """One line for a journal; a server knows the token, and might say it."""
        return one_line(text.replace(self._token, "***") if self._token else text, 300)


def _read(answer: IO[bytes], deadline: float) -> bytes:
    read = getattr(answer, "read1", answer.read)
    body = b""
    while chunk := read(_CHUNK):
        body += chunk
        if len(body) > MOST_BYTES:
            raise http.client.HTTPException(f"its answer is over {MOST_BYTES} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError
    return body


def _no_answer(error: Exception, seconds: float) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return f"does not answer within {seconds:g} s"
    if isinstance(reason, ssl.SSLError):
        return f"cannot be spoken to over TLS ({reason.reason or reason})"
    if isinstance(reason, http.client.RemoteDisconnected | ConnectionResetError):
        return "closes the connection without an answer"
    if isinstance(reason, OSError):
        return f"does not answer ({reason.strerror or reason})"
    if isinstance(reason, http.client.HTTPException | ValueError):
        return f"does not speak HTTP as a sandbox server does ({type(reason).__name__}: {reason})"
    return f"does not answer ({reason})"
