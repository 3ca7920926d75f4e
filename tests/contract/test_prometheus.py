"""Queries of a real Prometheus, and of servers that do what no Prometheus should."""

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from authority import Authority
from tuning_prometheus.answer import Missing, Value
from tuning_prometheus.client import MAX_BODY, MAX_QUERIES, Prometheus, Server

from . import servers

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
GOOD = '{"status": "success", "data": {"resultType": "scalar", "result": [0, "0.97"]}}'


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Has scraped `accuracy` of two models."""
    registry, port = CollectorRegistry(), servers.free_port()
    accuracy = Gauge("accuracy", "Of a model in production.", ["model"], registry=registry)
    accuracy.labels("digits").set(0.97)
    accuracy.labels("letters").set(0.85)
    metrics, thread = start_http_server(port, "127.0.0.1", registry)
    with servers.prometheus(tmp_path_factory.mktemp("prometheus"), [f"127.0.0.1:{port}"]) as url:
        yield Server(url)
    metrics.shutdown()
    metrics.server_close()
    thread.join()


async def ask(server: Server, query: str = "x", seconds: float = 10, at: datetime | None = None) -> Value | Missing:
    async with Prometheus(timedelta(seconds=seconds)) as prometheus:
        return await prometheus.query(server, query, at or datetime.now(UTC))


async def test_a_value_is_of_the_moment_that_was_asked_for(real: Server) -> None:
    now = datetime.now(UTC)
    now -= timedelta(microseconds=now.microsecond % 1000)  # as Prometheus counts
    found = await ask(real, 'accuracy{model="digits"}', at=now)
    assert found == Value(0.97, now)
    before = await ask(real, 'accuracy{model="digits"}', at=now - timedelta(hours=1))
    assert isinstance(before, Missing) and before.outcome == "Empty"


@pytest.mark.parametrize(
    ("query", "want"),
    [
        ("avg(accuracy)", 0.91),
        ("1 + 1", 2.0),
        ('max(accuracy{model=~"' + "|".join(f"model-{n}" for n in range(2000)) + '|digits"})', 0.97),
        ("accuracy", "ManySeries"),
        ('accuracy{model="none"}', "Empty"),
        ("accuracy[5m]", "Matrix"),
        ('"0.97"', "Text"),
        ("sum(accuracy) * 0 / 0", "NaN"),
        ("1 / 0", "Infinite"),
        ("sum(", "Error"),
        ("accuracy + on() accuracy", "Error"),
    ],
)
async def test_each_query_is_one_number_or_told_why_not(real: Server, query: str, want: float | str) -> None:
    found = await ask(real, query)
    assert (pytest.approx(found.value) if isinstance(found, Value) else found.outcome) == want


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[Server]:
    """A server that answers queries so."""
    application = web.Application()
    application.router.add_post("/prefix/api/v1/query", handler)
    async with TestServer(application) as server:
        yield Server(str(server.make_url("/prefix")))


async def good(request: web.Request) -> web.Response:
    return web.Response(text=GOOD, content_type="application/json")


async def hang(request: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.02)


async def cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"{")
    assert request.transport
    request.transport.close()
    return response


async def elsewhere(request: web.Request) -> web.Response:
    raise web.HTTPFound("http://169.254.169.254/latest/meta-data")


PACKED = gzip.compress(b" " * 10 * MAX_BODY + GOOD.encode())


async def packed(request: web.Request) -> web.Response:
    return web.Response(body=PACKED, headers={"Content-Encoding": "gzip"})


def says(status: int, text: str) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, text=text, content_type="text/html")

    return answer


@pytest.mark.parametrize(
    ("handler", "outcome", "words"),
    [
        (hang, "Timeout", "within 0.5 s"),
        (drip, "Timeout", "within 0.5 s"),
        (cut, "Unavailable", "does not answer"),
        (elsewhere, "Redirect", "302"),
        (packed, "NotJson", "not with JSON"),
        (says(200, "<html>Grafana</html>"), "NotJson", "text/html"),
        (says(503, "<html>nginx</html>"), "Unavailable", "503"),
    ],
)
async def test_whatever_a_server_does_is_an_answer(handler: Handler, outcome: str, words: str) -> None:
    async with answering(handler) as server:
        found = await ask(server, seconds=0.5 if outcome == "Timeout" else 30)
        assert isinstance(found, Missing)
        assert (found.outcome, words in found.reason) == (outcome, True), found.reason


async def test_no_more_is_read_than_an_answer_may_have() -> None:
    written = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(50):
            await response.write(b"[" * 1_000_000)
            written += 1_000_000
        return response

    async with answering(flood) as server:
        found = await ask(server)
        assert isinstance(found, Missing) and found.outcome == "TooLarge"
        assert written < 25 * MAX_BODY  # what the sockets' buffers took


async def test_a_server_that_hangs_delays_no_other() -> None:
    async with answering(hang) as hanging, answering(good) as fine, Prometheus(timedelta(minutes=5)) as prometheus:
        now = datetime.now(UTC)
        stuck = [asyncio.create_task(prometheus.query(hanging, "x", now)) for _ in range(3 * MAX_QUERIES)]
        assert isinstance(await prometheus.query(fine, "x", now), Value)
        assert not any(task.done() for task in stuck)
        for task in stuck:
            task.cancel()
        await asyncio.wait(stuck)


async def test_those_that_wait_for_a_server_that_hangs_wait_no_longer_than_those_that_are_there() -> None:
    async with answering(hang) as hanging, Prometheus(timedelta(seconds=0.5)) as prometheus:
        now = datetime.now(UTC)
        found = await asyncio.gather(*(prometheus.query(hanging, "x", now) for _ in range(3 * MAX_QUERIES)))
        assert [isinstance(one, Missing) and one.outcome for one in found] == ["Timeout"] * 3 * MAX_QUERIES


async def test_one_server_is_asked_little_at_once() -> None:
    running, most = 0, 0

    async def counted(request: web.Request) -> web.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        return await good(request)

    async with answering(counted) as server, Prometheus() as prometheus:
        now = datetime.now(UTC)
        found = await asyncio.gather(*(prometheus.query(server, "x", now) for _ in range(5 * MAX_QUERIES)))
        assert all(isinstance(one, Value) for one in found)
        assert most == MAX_QUERIES


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "nobody.invalid", "xn--", "a" * 100])
async def test_nobody_there(host: str) -> None:
    found = await ask(Server(f"http://{host.format(port=servers.free_port())}"))
    assert isinstance(found, Missing) and found.outcome == "Unavailable"


async def test_a_query_that_no_form_can_hold() -> None:
    async with answering(good) as server:
        found = await ask(server, "\ud800")  # JSON can spell it, UTF-8 cannot
        assert isinstance(found, Missing)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254",
        "http://169.254.169.254:9090/prefix",
        "http://0xa9fea9fe",
        "http://[fe80::1%25lo]",
        "http://[::ffff:169.254.169.254]",
        "http://[fd00:ec2::254]",
        "https://169.254.169.254",
        "http://metadata.test",  # a name that leads there
    ],
)
async def test_where_clouds_hand_out_credentials_is_not_connected_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lead(monkeypatch, "metadata.test", "169.254.169.254")
    found = await ask(Server(url), seconds=2)
    assert isinstance(found, Missing)
    assert (found.outcome, "link-local" in found.reason) == ("Refused", True), found.reason


async def test_of_the_addresses_of_a_name_only_the_others_are_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    lead(monkeypatch, "prometheus.test", "169.254.169.254", "127.0.0.1")
    async with answering(good) as server:
        assert isinstance(await ask(Server(server.url.replace("127.0.0.1", "prometheus.test"))), Value)


def lead(monkeypatch: pytest.MonkeyPatch, name: str, *addresses: str) -> None:
    """Let a name have these addresses."""
    real_lookup = socket.getaddrinfo

    def lookup(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host == name:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, int(port))) for address in addresses]
        return real_lookup(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (Server("prometheus:9090"), "http://prometheus.monitoring:9090"),
        (Server(""), "http://prometheus.monitoring:9090"),
        (Server("file:///etc/passwd"), "http://prometheus.monitoring:9090"),
        (Server("http://[::1"), "http://prometheus.monitoring:9090"),
        (Server("http://ann:secret@prometheus"), "`username` and `password` beside it"),
        (Server("http://prometheus", username="a:b", password="c"), "colon"),
        (Server("https://prometheus", ca="-----BEGIN"), "PEM"),
        (Server("https://prometheus", ca="ключ"), "PEM"),
    ],
)
async def test_a_server_that_is_written_wrong_is_not_asked(server: Server, words: str) -> None:
    found = await ask(server, seconds=2)
    assert isinstance(found, Missing)
    assert (found.outcome, words in found.reason) == ("Refused", True), found.reason
    assert "secret" not in found.reason


@pytest.mark.parametrize(
    ("credentials", "header"),
    [
        ({}, None),
        ({"token": "abc\n"}, "Bearer abc"),  # as Secrets made from files end
        ({"username": "ann", "password": "pässword"}, "Basic YW5uOnDDpHNzd29yZA=="),
    ],
)
async def test_credentials_are_sent_and_not_shown(credentials: dict[str, str], header: str | None) -> None:
    seen = []

    async def remember(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return await good(request)

    async with answering(remember) as server:
        asked = Server(server.url, **credentials)
        assert isinstance(await ask(asked), Value)
    assert seen == [header]
    assert "abc" not in repr(asked) and "pässword" not in repr(asked)


async def test_a_server_of_several_tenants_is_told_whose_the_query_is() -> None:
    seen = []

    async def remember(request: web.Request) -> web.Response:
        seen.append((request.query.getall("namespace", []), (await request.post()).getall("query")))
        return await good(request)

    async with answering(remember) as server, Prometheus() as prometheus:
        now = datetime.now(UTC)
        for namespace in (None, "team-a"):
            assert isinstance(await prometheus.query(server, "x&namespace=team-b", now, namespace), Value)
    assert seen == [([], ["x&namespace=team-b"]), (["team-a"], ["x&namespace=team-b"])]


async def test_a_server_of_a_private_authority_is_trusted_by_its_certificate(tmp_path: Path) -> None:
    authority = Authority("the right authority")
    certificate, key = tmp_path / "server.crt", tmp_path / "server.key"
    for path, content in zip((certificate, key), authority.issue("localhost"), strict=True):
        path.write_text(content)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    application = web.Application()
    application.router.add_post("/api/v1/query", good)
    server = TestServer(application, scheme="https", host="localhost")
    await server.start_server(ssl=context)
    url = f"https://localhost:{server.port}"
    assert isinstance(await ask(Server(url, ca=authority.pem())), Value)
    for other in (None, Authority("another").pem()):
        found = await ask(Server(url, ca=other))
        assert isinstance(found, Missing)
        assert (found.outcome, "certificate verify failed" in found.reason) == ("Unavailable", True)
    await server.close()
