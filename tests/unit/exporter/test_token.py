"""The exporter's token is a file: what is in it now lets a caller in."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tuning_exporter.app import build_app
from tuning_exporter.studies import StudyIndex
from tuning_kube import environment

Alertmanager = Callable[[str], Awaitable[int]]


class NoStudies:
    async def list_metadata(self, *_: object) -> Sequence[Any]:
        return []


NO_ALERTS = b'{"version": "4", "alerts": []}'


@pytest.fixture
async def alertmanager(tmp_path: Path) -> AsyncIterator[Alertmanager]:
    token = partial(environment.token, tmp_path / "token")
    app = build_app(None, None, StudyIndex(NoStudies(), ()), None, token)  # type: ignore[arg-type]
    async with TestClient(TestServer(app)) as client:

        async def answer(token: str) -> int:
            headers = {"Authorization": f"Bearer {token}"}
            return (await client.post("/alerts", data=NO_ALERTS, headers=headers)).status

        yield answer


async def test_a_rotated_token_counts_from_the_next_call_on(alertmanager: Alertmanager, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first\n")
    assert await alertmanager("first") == 200
    (tmp_path / "token").write_text("second")
    assert await alertmanager("first") == 401
    assert await alertmanager("second") == 200


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
@pytest.mark.parametrize("given", ["", "anything"])
async def test_without_a_token_nobody_is_let_in_and_alertmanager_tries_again(
    alertmanager: Alertmanager, tmp_path: Path, content: bytes | None, given: str
) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    assert await alertmanager(given) == 503


def test_an_exporter_without_a_token_does_not_start(tmp_path: Path) -> None:
    settings = {"TUNING_STORE_URL": "postgresql://me@db/tuning", "TUNING_TOKEN_FILE": str(tmp_path / "absent")}
    program = [sys.executable, "-m", "tuning_exporter"]
    ended = subprocess.run(program, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert f"the token cannot be read from {tmp_path / 'absent'}" in ended.stderr
