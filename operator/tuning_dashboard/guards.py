"""Who may ask the dashboard: middlewares that stand before all of its handlers.

On one machine it is whoever calls the server by this machine's own names; in a cluster it is who knows the token.
"""

import hashlib
import hmac
from collections.abc import Callable, Collection
from html import escape
from importlib.resources import files
from string import Template

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tuning_dashboard.app import HEADERS

HEALTH = "/healthz"
LOGIN = "/login"
_COOKIE = "tuning_dashboard"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


def only_for(hosts: Collection[str]) -> Middleware:
    """Answers calls by one of these names, with their ports: no web site may read it through a name that it makes
    point here."""
    known = frozenset(hosts)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.host.lower() not in known:
            raise web.HTTPForbidden(text=f"this server answers for {', '.join(sorted(known))} only\n", headers=HEADERS)
        return await handler(request)

    return guard


def with_token(token: Callable[[], str | None]) -> Middleware:
    """Answers who gives the token: as a bearer token, or once in the login form, which leaves a cookie.

    `token` is asked at each request, so that one that is rotated shuts out those who came in with the last; where it is
    None nobody is let in. The cookie holds a digest: who reads it learns nothing that opens anything else.
    """

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == HEALTH:
            return await handler(request)
        wanted = token()
        if wanted is None:
            raise web.HTTPServiceUnavailable(
                text="the dashboard cannot read its own token; its log says why\n", headers=HEADERS
            )
        if request.path == LOGIN and request.method == "POST":
            return await _log_in(request, wanted)
        if _is_known(request, wanted):
            return await handler(request)
        if not request.path.startswith("/api/"):
            return _form("")
        return web.json_response(
            {"error": "give the dashboard's token: load the page anew"}, status=401, headers=HEADERS
        )

    return guard


def _is_known(request: web.Request, wanted: str) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and _same(given.strip(), wanted):
        return True
    return _same(request.cookies.get(_COOKIE, ""), _session(wanted))


async def _log_in(request: web.Request, wanted: str) -> web.StreamResponse:
    given = str((await request.post()).get("token", "")).strip()
    if not _same(given, wanted):
        return _form("This is not the dashboard's token.")
    answer = web.Response(status=303, headers={**HEADERS, "Location": "/"})
    secure = "https" in (request.scheme, request.headers.get("X-Forwarded-Proto", "").lower())
    answer.set_cookie(_COOKIE, _session(wanted), httponly=True, samesite="Strict", secure=secure)
    return answer


def _form(problem: str) -> web.Response:
    headers = {**HEADERS, "Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
    page = Template((files("tuning_dashboard") / "login.html").read_text(encoding="utf-8"))
    text = page.substitute(action=LOGIN, problem=escape(problem))
    return web.Response(text=text, status=401, content_type="text/html", headers=headers)


def _session(token: str) -> str:
    return hmac.new(token.encode(), b"dashboard session", hashlib.sha256).hexdigest()


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
