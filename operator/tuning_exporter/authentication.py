"""Lets in who gives the exporter's token. Used for everything that is sent to it."""

import hmac
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from tuning_kube.errors import InvalidSettings

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.Response]]


def with_token(token: Callable[[], str], handler: Handler) -> Handler:
    """`token` is asked at each call, so that it may change meanwhile; it may raise InvalidSettings."""

    async def guarded(request: web.Request) -> web.Response:
        try:
            wanted = token()
        except InvalidSettings as error:
            log.error("nobody can be let in", error=str(error))
            return web.json_response({"error": "the exporter cannot read its own token; its log says why"}, status=503)
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), wanted.encode()):
            return web.json_response({"error": "give the exporter's token: Authorization: Bearer …"}, status=401)
        return await handler(request)

    return guarded
