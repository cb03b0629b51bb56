"""What the HTTP server refuses, as a protocol: each refusal has a code that never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# By code: the HTTP status, and what it means to whoever gets it.
CODES: Mapping[str, tuple[int, str]] = {
    "bad_json": (400, "the body is not exactly one plain JSON document"),
    "bad_http": (400, "the request is not HTTP as this server speaks it"),
    "unauthorized": (401, "the bearer token is missing or wrong"),
    "not_found": (404, "there is no such path"),
    "unknown_run": (404, "no run of this name is attached"),
    "method_not_allowed": (405, "this path does not take this method"),
    "protocol_mismatch": (409, "the run speaks another version of the fleet's protocol"),
    "too_large": (413, "the body is over the server's --max-body"),
    "not_json": (415, "the Content-Type is not application/json"),
    "bad_request": (422, "a field is missing, unknown or of the wrong type; its path is named"),
    "unknown_environment": (422, "no such environment is installed on the server"),
    "bad_settings": (422, "the environment does not take these settings"),
    "bad_limits": (422, "a limit is impossible, or above what the server grants"),
    "bad_bundle": (422, "the bundle's code or a module it needs cannot be loaded"),
    "bad_address": (422, "the address is not tcp://host:port"),
    "bad_key": (422, "the key is no CURVE public key"),
    "internal": (500, "a defect of the server; its log has the traceback"),
    "busy": (503, "as many evaluations wait as the server takes; try again soon"),
    "full": (503, "as many runs are attached as the server takes"),
    "draining": (503, "the server is finishing, and takes nothing new"),
    "no_slot": (503, "no slot can be started at present"),
}


@dataclass
class Refusal(Exception):
    """A request that is not granted.

    Attributes:
        code: one of `CODES`.
        message: one line that names what is wrong, and what to do.
    """

    code: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return CODES[self.code][0]
