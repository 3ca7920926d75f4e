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
from tuning_exporter.authentication import Authentication, Tokens
from tuning_exporter.studies import StudyIndex
from tuning_kube import environment
from tuning_kube.errors import InvalidSettings

Alertmanager = Callable[[str], Awaitable[int]]


class NoStudies:
    async def list_metadata(self, *_: object) -> Sequence[Any]:
        return []


NO_ALERTS = b'{"version": "4", "alerts": []}'


@pytest.fixture
async def alertmanager(tmp_path: Path) -> AsyncIterator[Alertmanager]:
    token = partial(environment.token, tmp_path / "token")
    app = build_app(None, None, StudyIndex(NoStudies(), ()), None, Authentication(Tokens(token)))  # type: ignore[arg-type]
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


class Namespaces:
    """The folder of a Secret with a token for each namespace, written as the kubelet does: all of it at once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._versions = folder, 0
        folder.mkdir()

    def write(self, **tokens: str) -> None:
        self._versions += 1
        version = self.folder / f"..{self._versions}"
        version.mkdir()
        for namespace, token in tokens.items():
            (version / namespace).write_text(token)
            link = self.folder / namespace
            if not link.is_symlink():
                link.symlink_to(f"..data/{namespace}")
        (self.folder / "..new").symlink_to(version.name)
        (self.folder / "..new").replace(self.folder / "..data")
        for link in self.folder.iterdir():
            if not link.name.startswith("..") and link.name not in tokens:
                link.unlink()


@pytest.fixture
def namespaces(tmp_path: Path) -> Namespaces:
    return Namespaces(tmp_path / "namespaces")


async def may_speak_for(namespaces: Namespaces, token: str) -> Sequence[str] | None:
    """None for nobody."""
    tokens = Tokens(lambda: "exporters", partial(environment.namespace_tokens, namespaces.folder))
    found = await Authentication(tokens).caller(token)
    return None if found is None else ["all"] if found.namespaces is None else sorted(found.namespaces)


async def test_a_namespaces_token_speaks_for_it_alone(namespaces: Namespaces) -> None:
    namespaces.write(team="one\n", other="two", shared="two", empty="\n")
    assert await may_speak_for(namespaces, "one") == ["team"]
    assert await may_speak_for(namespaces, "two") == ["other", "shared"]
    assert await may_speak_for(namespaces, "exporters") == ["all"]
    for wrong in ("", "on", "one1", "team", "\udcff"):
        assert await may_speak_for(namespaces, wrong) is None


async def test_a_namespaces_token_that_is_rotated_counts_from_the_next_call_on(namespaces: Namespaces) -> None:
    namespaces.write(team="one", other="two")
    namespaces.write(team="three")
    assert [await may_speak_for(namespaces, token) for token in ("one", "two", "three")] == [None, None, ["team"]]


async def test_tokens_that_cannot_be_read_let_nobody_of_a_namespace_in(tmp_path: Path) -> None:
    tokens = Tokens(lambda: "exporters", partial(environment.namespace_tokens, tmp_path / "absent"))
    with pytest.raises(InvalidSettings, match="the tokens cannot be read from"):
        await Authentication(tokens).caller("one")
