"""Structured log of the server: one JSON object, or one line of text, per event on stderr.

Tokens and keys are never put into an event.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

FORMATS = ("json", "text")
_NAME = "sandbox.server"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _clock(record.created),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        words = [_clock(record.created), record.levelname.lower(), record.getMessage()]
        words += [f"{key}={json.dumps(value, default=str)}" for key, value in fields.items()]
        line = " ".join(words)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _clock(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"


def handler(form: str) -> logging.Handler:
    """Writes to stderr in one of `FORMATS`."""
    made = logging.StreamHandler(sys.stderr)
    made.setFormatter(_Json() if form == "json" else _Text())
    return made


def configure(form: str) -> None:
    """Sends this server's events to stderr."""
    logger = logging.getLogger(_NAME)
    logger.handlers = [handler(form)]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def event(name: str, **fields: Any) -> None:
    """Something that an operator may look for."""
    logging.getLogger(_NAME).info(name, extra={"fields": fields})


def warn(name: str, **fields: Any) -> None:
    """Something that an operator should look at."""
    logging.getLogger(_NAME).warning(name, extra={"fields": fields})


def failure(name: str, **fields: Any) -> None:
    """A defect, with the traceback of the exception that is handled now."""
    logging.getLogger(_NAME).error(name, exc_info=True, extra={"fields": fields})
