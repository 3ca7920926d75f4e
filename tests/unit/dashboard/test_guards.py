"""Who is let in to the dashboard of a cluster."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tuning_dashboard.__main__ import current_token
from tuning_dashboard.guards import HEALTH, LOGIN, with_token

TOKEN = "0123456789abcdef"
Client = TestClient[Any, Any]


async def page(_: web.Request) -> web.Response:
    return web.Response(text="all studies")


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    return file


def write(file: Path, content: str | None) -> None:
    """None takes the file away."""
    file.unlink() if content is None else file.write_text(content)


@asynccontextmanager
async def serving(token_file: Path) -> AsyncIterator[Client]:
    app = web.Application(middlewares=[with_token(lambda: current_token(token_file))])
    for path in ("/", "/study", "/api/studies", HEALTH):
        app.router.add_get(path, page)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize(
    "given", [None, "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer ä"]
)
async def test_nobody_without_the_token(token_file: Path, given: str | None) -> None:
    async with serving(token_file) as client:
        headers = {"Authorization": given} if given else {}
        answer = await client.get("/api/studies", headers=headers)
        assert answer.status == 401
        assert "token" in (await answer.json())["error"]


async def test_a_program_gives_it_as_a_bearer_token(token_file: Path) -> None:
    async with serving(token_file) as client:
        answer = await client.get("/api/studies", headers={"Authorization": f"bearer {TOKEN}"})
        assert await answer.text() == "all studies"


async def test_a_person_gives_it_once_in_the_form(token_file: Path) -> None:
    async with serving(token_file) as client:
        form = await client.get("/study?name=x")
        assert (form.status, form.content_type) == (401, "text/html")
        assert f'action="{LOGIN}"' in await form.text()
        answer = await client.post(LOGIN, data={"token": f" {TOKEN} "})
        assert await answer.text() == "all studies"
        cookie = answer.history[0].cookies["tuning_dashboard"]
        assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "Strict", "")
        assert TOKEN not in cookie.value
        assert (await client.get("/api/studies")).status == 200


async def test_behind_tls_the_cookie_stays_there(token_file: Path) -> None:
    async with serving(token_file) as client:
        forwarded = {"X-Forwarded-Proto": "https"}
        answer = await client.post(LOGIN, data={"token": TOKEN}, headers=forwarded, allow_redirects=False)
        assert answer.cookies["tuning_dashboard"]["secure"] is True


@pytest.mark.parametrize("form", [{}, {"token": ""}, {"token": "<b>"}, {"token": "ä" * 100_000}])
async def test_a_wrong_token_is_told_in_the_form(token_file: Path, form: dict[str, str]) -> None:
    async with serving(token_file) as client:
        answer = await client.post(LOGIN, data=form)
        assert answer.status == 401
        assert "This is not the dashboard" in await answer.text()


async def test_a_rotated_token_shuts_out_those_who_are_in(token_file: Path) -> None:
    async with serving(token_file) as client:
        await client.post(LOGIN, data={"token": TOKEN})
        write(token_file, "another")
        assert (await client.get("/api/studies")).status == 401


@pytest.mark.parametrize("content", [None, "", " \n"])
async def test_without_a_token_of_its_own_it_lets_nobody_in(token_file: Path, content: str | None) -> None:
    write(token_file, content)
    async with serving(token_file) as client:
        for headers in ({}, {"Authorization": "Bearer "}):
            assert (await client.get("/", headers=headers)).status == 503


async def test_the_kubelet_needs_none(token_file: Path) -> None:
    async with serving(token_file) as client:
        assert (await client.get(HEALTH)).status == 200
