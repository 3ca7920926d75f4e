"""Which namespace a service account's token speaks for, as the API server says (TokenReview). Asked by the
exporter's authentication, where the chart switches it on."""

import asyncio
import hashlib
import time
from collections.abc import Callable

from tuning_kube.client import Cluster

_KNOWN_FOR = 30.0  # seconds: so long a token that is revoked or runs out still counts
_UNKNOWN_FOR = 5.0  # seconds
_MOST_REMEMBERED = 10_000  # tokens
_AT_ONCE = 4  # reviews: whoever sends forged tokens slows down others that do, and not the API server
_USER = "system:serviceaccount:"


class ServiceAccounts:
    """For one event loop. A token counts if it was made for `audience`: one for another program, which that program
    could pass on, does not."""

    def __init__(self, cluster: Cluster, audience: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster, self._audience, self._clock = cluster, audience, clock
        self._known: dict[bytes, tuple[str | None, float]] = {}  # until when, by the token's digest
        self._reviewing = asyncio.Semaphore(_AT_ONCE)

    async def namespace_of(self, token: str) -> str | None:
        """None for what is no token of a service account, or not for this audience. Raises ClusterError."""
        if token.count(".") != 2:  # no JWT
            return None
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        known = self._known.get(digest)
        if known is None or known[1] <= self._clock():
            async with self._reviewing:
                user = await self._cluster.review_token(token, self._audience)
            namespace = _namespace_in(user or "")
            until = self._clock() + (_KNOWN_FOR if namespace is not None else _UNKNOWN_FOR)
            self._known.pop(digest, None)
            self._known[digest] = known = namespace, until
            if len(self._known) > _MOST_REMEMBERED:
                del self._known[next(iter(self._known))]
        return known[0]


def _namespace_in(user: str) -> str | None:
    """`system:serviceaccount:NAMESPACE:NAME`; neither has a colon."""
    namespace, separator, name = user.removeprefix(_USER).partition(":")
    return namespace if user.startswith(_USER) and separator and namespace and name else None
