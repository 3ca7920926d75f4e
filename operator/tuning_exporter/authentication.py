"""Who calls, by the bearer token that they give, and for which namespaces they may speak. Used for everything that is
sent to the exporter.

Three kinds of token: the exporter's own, which speaks for all namespaces; one of a namespace; and, where the chart
switches that on, one of a service account.
"""

import hmac
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

import structlog
from aiohttp import web

from tuning_exporter.service_accounts import ServiceAccounts
from tuning_kube.errors import ClusterError, InvalidSettings

log = structlog.get_logger()


@dataclass(frozen=True)
class Caller:
    namespaces: frozenset[str] | None = None
    """None stands for all."""

    def others_among(self, namespaces: Collection[str]) -> list[str]:
        """Those that the caller may not speak for."""
        return [] if self.namespaces is None else sorted(set(namespaces) - self.namespaces)


Handler = Callable[[web.Request], Awaitable[web.Response]]
ForCaller = Callable[[web.Request, Caller], Awaitable[web.Response]]


@dataclass(frozen=True)
class Tokens:
    """Both are asked at each call, so that tokens may change meanwhile; they may raise InvalidSettings."""

    exporters: Callable[[], str]
    namespaces: Callable[[], Mapping[str, str]] = dict
    """Each namespace's own."""


class Authentication:
    def __init__(self, tokens: Tokens, accounts: ServiceAccounts | None = None) -> None:
        self._tokens, self._accounts = tokens, accounts

    async def caller(self, token: str) -> Caller | None:
        """None for a token that nobody knows. Raises InvalidSettings and ClusterError while that cannot be told."""
        if _equal(token, self._tokens.exporters()):
            return Caller()
        # All of them, so that the time says nothing of which one is nearly right.
        own = frozenset([namespace for namespace, known in self._tokens.namespaces().items() if _equal(token, known)])
        if own:
            return Caller(own)
        namespace = await self._accounts.namespace_of(token) if self._accounts is not None else None
        return Caller(frozenset([namespace])) if namespace is not None else None

    def guarded(self, handler: ForCaller) -> Handler:
        """The handler for those that are known; 401 for others, and 503 while that cannot be told."""

        async def answer(request: web.Request) -> web.Response:
            scheme, _, given = request.headers.get("Authorization", "").partition(" ")
            try:
                found = await self.caller(given.strip() if scheme.lower() == "bearer" else "")
            except InvalidSettings as error:
                log.error("nobody can be let in", error=str(error))
                told = "the exporter cannot read its own token; its log says why"
                return web.json_response({"error": told}, status=503)
            except ClusterError as error:
                log.error("a service account's token is not reviewed", error=str(error))
                return web.json_response(
                    {"error": "the token cannot be reviewed; the exporter's log says why"}, status=503
                )
            if found is None:
                told = "give the exporter's token, or your namespace's: Authorization: Bearer …"
                return web.json_response({"error": told}, status=401, headers={"WWW-Authenticate": "Bearer"})
            return await handler(request, found)

        return answer


def _equal(given: str, known: str) -> bool:
    return bool(known) and hmac.compare_digest(given.encode(errors="replace"), known.encode())
