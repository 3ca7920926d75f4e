"""Asks Prometheus servers for one number each. The operator's leader and the command use it.

Tenants name the servers, and what they name is not trusted: a query has a time, an answer has a size, redirects are not
followed, and addresses at which a cloud hands its credentials to a node are not connected to.
"""

import socket
import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from tuning_prometheus.answer import Missing, Value, read_answer
from tuning_study.text import truncate

QUERY_TIMEOUT = timedelta(seconds=10)
"""For a query in all, from waiting for a connection to the last byte of the answer."""
MAX_BODY = 1_000_000  # bytes
MAX_QUERIES = 4
"""At once to one server. One that hangs makes its own queries wait, and no other's."""

_FORBIDDEN = [ip_network(each) for each in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128")]
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class Server:
    """A Prometheus, or what speaks its API."""

    url: str
    """Up to where `/api` begins: `https://prometheus.monitoring:9090`."""
    token: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: str | None = field(default=None, repr=False)
    """Certificates in PEM form that are trusted, instead of the system's."""


class Prometheus:
    """Client of all servers; enter it to open its connections. For one event loop."""

    def __init__(self, timeout: timedelta = QUERY_TIMEOUT) -> None:
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=MAX_QUERIES, socket_factory=_guarded_socket),
            timeout=aiohttp.ClientTimeout(total=self._timeout.total_seconds()),
            cookie_jar=aiohttp.DummyCookieJar(),  # nothing that one tenant's server says reaches another's request
            auto_decompress=False,  # a small body may be a large text
            headers=_HEADERS,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self._session.close()

    async def query(
        self, server: Server, expression: str, at: datetime, namespace: str | None = None
    ) -> Value | Missing:
        """The number that `expression` is at the moment `at`. Whatever the server does is an answer: never raises.

        A server of several tenants is told whose the query is by `namespace`. What stands in front of it, such as
        prom-label-proxy or OpenShift's thanos-querier, lets the query see that namespace's series alone; a bare
        Prometheus does not look at it.
        """
        try:
            url, options = _request(server)
        except _Refused as error:
            return Missing("Refused", str(error))
        form = {
            "query": expression,
            "time": f"{at.timestamp():.3f}",
            "timeout": f"{self._timeout.total_seconds():g}s",
        }
        try:
            url = url.with_query(namespace=namespace) if namespace else url
            async with self._session.post(url, data=form, allow_redirects=False, **options) as response:
                body = await _read(response)
                if body is None:
                    return Missing(
                        "TooLarge",
                        f"the answer is larger than {MAX_BODY // 1_000_000} MB: write a query that answers with one "
                        "number, as in sum(…)",
                    )
                return read_answer(response.status, response.content_type, body)
        except TimeoutError:
            return Missing(
                "Timeout",
                f"no answer within {self._timeout.total_seconds():g} s: try the query in the server's own page; a "
                "heavy one is better recorded with a recording rule",
            )
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, _Refused):
                return Missing("Refused", str(error.os_error))
            return _unavailable(error)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _unavailable(error)


class _Refused(OSError):
    """The server is not asked; the text says what to write instead."""


def _request(server: Server) -> tuple[URL, dict[str, Any]]:
    """Where to send a query, and what aiohttp is told of credentials. Raises _Refused."""
    try:
        base = URL(server.url.strip())
    except ValueError:
        base = URL()
    if base.scheme not in ("http", "https") or not base.raw_host:
        raise _Refused(
            "the server's `url` is no http or https URL: write one such as http://prometheus.monitoring:9090"
        )
    if base.user is not None or base.password is not None:
        raise _Refused("the server's `url` holds credentials: write them as `username` and `password` beside it")
    options: dict[str, Any] = {}
    if server.token:
        options["headers"] = {"Authorization": f"Bearer {server.token.strip()}"}
    elif server.username is not None:
        if ":" in server.username:
            raise _Refused("the server's `username` has a colon, which basic authentication has no room for")
        login = b64encode(f"{server.username}:{server.password or ''}".encode()).decode()
        options["headers"] = {"Authorization": f"Basic {login}"}
    if server.ca:
        options["ssl"] = _trusting(server.ca)
    return base / "api" / "v1" / "query", options


@lru_cache(maxsize=256)
def _trusting(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, TypeError, ValueError):
        raise _Refused("the server's `ca.crt` holds no certificate: write certificates in PEM form") from None


def _guarded_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for what is connected to next, be it written as an address or found by a name.

    It is asked here and not before, as a name may lead somewhere else each time it is looked up.
    """
    family, kind, protocol, _, place = address
    found = ip_address(place[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    if any(found in network for network in _FORBIDDEN):
        raise _Refused(f"the server's address {found} is link-local, which no Prometheus is asked at: write another")
    return socket.socket(family, kind, protocol)


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """The body; None as soon as it is too large."""
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > MAX_BODY:
            return None
    return bytes(body)


def _unavailable(error: Exception) -> Missing:
    return Missing("Unavailable", f"the server does not answer: {truncate(str(error) or type(error).__name__, 256)}")
