"""Who may join a run over a network: CURVE with a list of public keys."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import zmq
from zmq.auth.thread import ThreadAuthenticator

from sandbox.keys import KeyPair

_DOMAIN = "fleet"


class Guard:
    """The run's own key pair, and the keys of the sandboxes that are let in.

    Args:
        own: the run's pair.
        enrolled: public keys that are let in from the beginning.
        tell: takes one line where a stranger knocks, once for each key. From another thread.
        look: finds keys that were enrolled since then; asked where somebody unknown knocks, from
            another thread.
        whom: what those are called that are let in.
    """

    def __init__(
        self,
        own: KeyPair,
        enrolled: Iterable[str] = (),
        tell: Callable[[str], None] = lambda line: None,
        look: Callable[[], Iterable[str]] = tuple,
        whom: str = "sandbox",
    ) -> None:
        self.own = own
        self._whom = whom
        self._allowed = set(enrolled)
        self._strangers: set[str] = set()
        self._lock = threading.Lock()
        self._tell, self._look = tell, look
        self._authenticator: ThreadAuthenticator | None = None

    def allow(self, key: str) -> None:
        """Lets the holder of this public key in from now on."""
        with self._lock:
            self._allowed.add(key)

    def forbid(self, key: str) -> None:
        """Lets its holder in no more; a connection that exists goes on."""
        with self._lock:
            self._allowed.discard(key)

    def protect(self, link: zmq.Socket[bytes]) -> None:
        """Makes a socket that is not bound yet refuse everybody else."""
        self._authenticator = ThreadAuthenticator(link.context)
        self._authenticator.start()
        self._authenticator.configure_curve_callback(_DOMAIN, credentials_provider=self)
        link.zap_domain = _DOMAIN.encode()
        link.curve_server = True
        link.curve_publickey = self.own.public.encode()
        link.curve_secretkey = self.own.secret.encode()

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether a key is let in; `zmq.auth` asks."""
        text = key.decode("ascii", "replace") if isinstance(key, bytes) else str(key)
        with self._lock:
            if text in self._allowed:
                return True
        if text in self._look():
            return True
        with self._lock:
            known = text in self._strangers
            if len(self._strangers) < 1000:  # a stranger may have any number of keys
                self._strangers.add(text)
            else:
                known = True
        if not known:
            self._tell(
                f"refused a {self._whom} with the key {text}: it is not enrolled with this run"
            )
        return False

    def close(self) -> None:
        """Ends the thread that answers for the socket."""
        if self._authenticator is not None:
            self._authenticator.stop()
            self._authenticator = None
