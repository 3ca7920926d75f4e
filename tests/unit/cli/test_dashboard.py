"""`tuning dashboard` where it cannot start, and when it opens a browser."""

import socket
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tuning_cli.commands import dashboard as command
from tuning_cli.commands.dashboard import dashboard
from tuning_client import target
from tuning_client.exceptions import WrongUse
from tuning_dashboard import serve
from tuning_store import schema

DEFAULTS = {"port": 0, "folder": Path(), "storage": None, "namespace": None, "context": None, "browser": False}


@pytest.mark.parametrize(
    ("options", "want"),
    [
        ({}, "no .tuning here"),
        ({"folder": Path("other")}, "no other/.tuning here"),
        ({"storage": "sqlite:///none.sqlite"}, "there is no sqlite:///none.sqlite"),
        ({"storage": "sqlite:///none.sqlite", "folder": Path("other")}, "--folder and --storage name two stores"),
        ({"storage": "sqlite:///none.sqlite", "namespace": "team"}, "--storage and --namespace or --context name two"),
    ],
)
def test_a_store_that_is_not_there_is_told(
    options: dict[str, object], want: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WrongUse, match=want):
        dashboard(**{**DEFAULTS, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"namespace": "team"}, {"context": "kind"}])
def test_a_namespace_of_a_cluster_is_read_by_its_own_login(
    options: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    schema.create(url)
    asked, served = [], []

    @contextmanager
    def store_url(chosen: target.Target) -> Iterator[str]:
        asked.append((chosen.namespace, chosen.context))
        yield url

    monkeypatch.setattr(target, "store_url", store_url)
    monkeypatch.setattr(serve, "serve", lambda store, *_: served.append(store.readings.progress()))
    dashboard(**{**DEFAULTS, **options})  # type: ignore[arg-type]
    assert asked == [(options.get("namespace"), options.get("context"))]
    assert served == [{}]


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_port_that_is_taken_is_told_where_it_was_asked_for(taken_port: int) -> None:
    with pytest.raises(WrongUse, match=f"--port: {taken_port} is taken"):
        command._bound(taken_port)


def test_another_port_is_found_where_none_was_asked_for(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PORT", taken_port)
    with command._bound(None) as found:
        assert found.getsockname()[1] != taken_port


@pytest.mark.parametrize(
    ("display", "browser", "want"),
    [("", True, []), (":0", True, ["http://here/"]), (":0", False, [])],
    ids=["no screen", "a screen", "not wanted"],
)
def test_a_browser_opens_where_there_is_a_screen(
    display: str, browser: bool, want: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(webbrowser, "open", opened.append)
    command._tell("http://here/", browser)
    assert opened == want
    assert "http://here/" in capsys.readouterr().out
