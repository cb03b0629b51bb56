"""Bundles that a node has been sent, by content: each is sent to it once, whoever asks."""

from __future__ import annotations

import threading
from collections import OrderedDict

from sandbox.protocol import Bundle

MOST = 16


class Shelf:
    """The bundles used last. May be shared between threads."""

    def __init__(self, most: int = MOST) -> None:
        self._bundles: OrderedDict[str, Bundle] = OrderedDict()
        self._lock = threading.Lock()
        self._most = most

    def get(self, digest: str) -> Bundle | None:
        """The bundle of this digest, if the node has it."""
        with self._lock:
            if digest in self._bundles:
                self._bundles.move_to_end(digest)
            return self._bundles.get(digest)

    def put(self, bundle: Bundle) -> None:
        """Keeps a bundle, and lets go of the one unused for longest where there are too many."""
        digest = bundle.digest
        with self._lock:
            self._bundles[digest] = bundle
            self._bundles.move_to_end(digest)
            while len(self._bundles) > self._most:
                self._bundles.popitem(last=False)
