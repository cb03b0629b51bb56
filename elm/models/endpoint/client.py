"""What a client library has to do for us: carry one request to an endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Client(Protocol):
    """Belongs to one event loop. Tries once, and follows no redirect."""

    async def ask(self, parameters: Mapping[str, Any]) -> object:
        """The JSON of the answer to one request.

        Args:
            parameters: as the API takes them: `messages` or `prompt`, and the settings.

        Raises:
            Failure: if there is none.
        """

    async def close(self) -> None:
        """Closes the connections."""
