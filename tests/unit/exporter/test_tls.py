"""The exporter serves the certificate that its files hold: at the start, and after they were replaced."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from authority import Authority
from tuning_exporter.tls import Certificate
from tuning_kube.errors import InvalidSettings

HOST = "localhost"
Ask = Callable[[Authority], Awaitable[bool]]
"""Whether somebody who trusts this authority alone is answered, over a connection of its own."""


def write(folder: Path, authority: Authority) -> None:
    certificate, key = authority.issue(HOST)
    (folder / "tls.crt").write_text(certificate)
    (folder / "tls.key").write_text(key)


@pytest.fixture
def first() -> Authority:
    return Authority("the first authority")


@pytest.fixture
def second() -> Authority:
    return Authority("the second authority")


@pytest.fixture
def certificate(tmp_path: Path, first: Authority) -> Certificate:
    write(tmp_path, first)
    return Certificate(tmp_path)


@pytest.fixture
async def ask(certificate: Certificate) -> AsyncIterator[Ask]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_get("/healthz", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0, ssl_context=certificate.context)
    await site.start()
    port = runner.addresses[0][1]

    async def asked(trusted: Authority) -> bool:
        context = ssl.create_default_context(cadata=trusted.pem())
        async with ClientSession() as session:
            try:
                async with session.get(f"https://{HOST}:{port}/healthz", ssl=context) as response:
                    return response.status == 200
            except OSError:
                return False

    yield asked
    await runner.cleanup()


async def test_it_is_the_one_of_the_files(ask: Ask, first: Authority, second: Authority) -> None:
    assert (await ask(first), await ask(second)) == (True, False)


async def test_one_that_is_replaced_is_served_without_a_restart(
    certificate: Certificate, ask: Ask, tmp_path: Path, first: Authority, second: Authority
) -> None:
    assert not certificate.refresh()
    write(tmp_path, second)
    assert certificate.refresh()
    assert (await ask(first), await ask(second)) == (False, True)


async def test_files_that_do_not_belong_together_leave_the_one_of_before(
    certificate: Certificate, ask: Ask, tmp_path: Path, first: Authority, second: Authority
) -> None:
    (tmp_path / "tls.crt").write_text(second.issue(HOST)[0])
    with pytest.raises(ssl.SSLError):
        certificate.refresh()
    assert await ask(first)
    write(tmp_path, second)
    assert certificate.refresh()
    assert await ask(second)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_exporter_whose_certificate_cannot_be_used_does_not_start(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "tls.crt").write_text(content)
        (tmp_path / "tls.key").write_text(content)
    with pytest.raises(InvalidSettings, match=r"TUNING_TLS: .*tls\.crt and .*tls\.key"):
        Certificate(tmp_path)
