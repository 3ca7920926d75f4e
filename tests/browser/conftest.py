"""A real Chromium, and what it looks at: reports as files, and the dashboard as `tuning dashboard` runs it.

Every test fails when the page logged an error, was refused something by its own policy, or opened a dialog.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, expect, sync_playwright

from contract.conftest import postgres_server as postgres_server
from contract.conftest import postgres_url as postgres_url
from fleets import FakeFleet
from tuning_dashboard.app import build_app
from tuning_dashboard.stores import OneStore
from tuning_report import page as pages
from tuning_report.round_history import History
from tuning_store import schema
from tuning_store.store import Store, open_store

NOW = datetime(2026, 3, 8, 13, tzinfo=UTC)
expect.set_options(timeout=30_000)  # the machine of the tests is shared
WIDTHS = (360, 390, 768, 1440)


def program() -> str | None:
    """Where Chromium is."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Without it the tests are skipped; in CI they fail."""
    if program() is None:
        if "CI" in os.environ:
            pytest.fail("chromium is missing: apt-get install chromium")
        pytest.skip("apt-get install chromium")
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program(), args=options)
        yield found
        found.close()


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens a window: `open_page(width=390, theme="dark")`. `admit` is a message that is no fault of the page."""
    problems: list[str] = []
    admitted: list[str] = []
    contexts = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(text in message.text for text in admitted):
            problems.append(message.text)

    def refuse(dialog: Dialog) -> None:
        problems.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def open_page(width: int = 1440, height: int = 900, theme: str = "light", admit: str = "") -> Page:
        admitted.extend([admit] if admit else [])
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if theme == "dark" else "light",
            reduced_motion="reduce",
            timezone_id="UTC",
        )
        contexts.append(context)
        window = context.new_page()
        window.set_default_timeout(60_000)
        window.on("console", heard)
        window.on("pageerror", lambda error: problems.append(str(error)))
        window.on("dialog", refuse)
        return window

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


Report = Callable[[History], str]


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """The address of a history's report."""

    def report(history: History) -> str:
        path = tmp_path / "report.html"
        path.write_text(pages.frozen(history, NOW), encoding="utf-8", errors="backslashreplace")
        return path.as_uri()

    return report


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    schema.create(postgres_url)
    opened = open_store(postgres_url)
    yield opened
    opened.close()


@contextmanager
def running_dashboard(url: str, port: int = 0) -> Iterator[str]:
    """The address of `tuning dashboard` on the store at `url`."""
    options = [f"--storage={url}", f"--port={port}", "--no-browser"]
    command = [sys.executable, "-m", "tuning_cli.app", "dashboard", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        address = process.stdout.readline().split()
        watchdog.cancel()
        try:
            yield address[0]
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0


@contextmanager
def running_fleet(fleet: FakeFleet, folder: Path) -> Iterator[str]:
    """The address of a dashboard, as in a cluster, that shows this fleet and an empty store."""
    url = f"sqlite:///{folder}/store.sqlite"
    schema.create(url)
    store = open_store(url)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> TestServer:
        server = TestServer(build_app(OneStore(store), fleet=fleet))
        await server.start_server()
        return server

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(60)
    try:
        yield str(server.make_url("")).rstrip("/")
    finally:
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        store.close()


@pytest.fixture
def dashboard(store: Store, postgres_url: str) -> Iterator[str]:
    with running_dashboard(postgres_url) as address:
        yield address


Seen = Callable[[], float]


def quickest(seen: Seen, times: int = 3) -> float:
    """The least of a few measurements: the machine of the tests is shared, and what is slow now may be another's."""
    return min(seen() for _ in range(times))


def see_all(window: Page) -> None:
    """Scrolls through the page, so that every chart has been drawn."""
    window.evaluate(
        """async () => {
          const frame = () => new Promise((done) => requestAnimationFrame(done));
          for (let y = 0; y < document.documentElement.scrollHeight; y += 400) {
            scrollTo(0, y);
            for (let count = 0; count < 4; count++) await frame();
          }
          scrollTo(0, 0);
          await frame();
        }"""
    )


def drag_along_an_axis(window: Page, axis: int = 0, of: int = 7) -> None:
    """Over the upper half of one axis of the parallel coordinates, as wide as a desk's."""
    window.locator("#parallel").scroll_into_view_if_needed()
    see = window.locator("#parallel canvas").first
    see.wait_for()
    box = see.bounding_box()
    assert box is not None
    left, right = box["x"] + 36, box["x"] + box["width"] - 48
    across = left + (right - left) * axis / (of - 1)
    window.mouse.move(across, box["y"] + 60)
    window.mouse.down()
    window.mouse.move(across, box["y"] + 200, steps=8)
    window.mouse.up()
