"""Takes the pictures of docs/looking.md: `make pictures`. They are looked at, not compared."""

import base64
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page, sync_playwright

from browser.conftest import NOW, drag_along_an_axis, program, running_dashboard, running_fleet, see_all
from browser.studies import PHASES, SLOWEST, SPACE, THREE, begin, classifier, make_history, unit_cube
from fleets import FakeFleet, degraded, observed, sent, soon
from tuning_report import page as pages
from tuning_report.round_history import History
from tuning_store import schema
from tuning_store.store import open_store

QUALITY = 80
Show = Callable[[Page], None]


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    study = make_history(classifier(240), parameters=SPACE, strategy={"phases": PHASES})
    front = make_history(
        unit_cube(200, 5, 3),
        metrics=THREE,
        constraints=[{"metric": "latencyMs", "max": SLOWEST}],
        name="pipeline",
    )
    with sync_playwright() as playwright, TemporaryDirectory() as reports:

        def take(name: str, history: History, width: int, height: int, theme: str, show: Show) -> None:
            report = Path(reports) / f"{name}.html"
            report.write_text(pages.frozen(history, NOW), encoding="utf-8")
            window = _window(browser, width, height, theme)
            window.goto(report.as_uri())
            see_all(window)
            show(window)
            _keep(window, folder / f"{name}.webp")
            window.context.close()

        browser = playwright.chromium.launch(executable_path=program(), args=["--no-sandbox"])
        store = f"sqlite:///{reports}/store.sqlite"
        _fill(store)
        with running_dashboard(store) as address:
            window = _window(browser, 1440, 720, "light")
            window.goto(address)
            window.locator(".studies tbody tr").first.wait_for()
            _keep(window, folder / "studies-1440-light.webp")
            for name in ("digits", "forest", "boosting"):
                window.get_by_role("checkbox", name=f"Choose {name} ").check()
            window.get_by_role("link", name="Compare").click()
            window.locator("#compare canvas").wait_for()
            _keep(window, folder / "compare-1440-light.webp")
            window.context.close()
        now = soon()
        fleet = FakeFleet(degraded(now), {"digits": (observed(now), sent(now))})
        with running_fleet(fleet, Path(reports)) as address:
            window = _window(browser, 1440, 1100, "light")
            window.goto(f"{address}/fleet")
            window.locator(".models tbody tr").first.wait_for()
            _keep(window, folder / "fleet-1440-light.webp")
            window.goto(f"{address}/fleet/study?place=team/digits")
            window.locator("#drift canvas").first.wait_for()
            see_all(window)
            _keep(window, folder / "production-1440-light.webp")
            window.context.close()
        take("report-1440-light", study, 1440, 1500, "light", _top)
        take("report-1440-dark", study, 1440, 1300, "dark", _brushed)
        take("report-768-light", front, 768, 1400, "light", lambda window: _to(window, "#history"))
        take("report-390-dark", study, 390, 1500, "dark", lambda window: _to(window, "#parallel"))
        take("report-360-light", study, 360, 1500, "light", _top)
        browser.close()


def _window(browser: Browser, width: int, height: int, theme: str) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        timezone_id="UTC",
    )
    return context.new_page()


def _fill(url: str) -> None:
    schema.create(url)
    store = open_store(url)
    for seed, name in enumerate(("digits", "forest", "boosting", "embedding")):
        begin(store, name, classifier(90 - 20 * seed, seed=seed), limit=100 if seed % 2 else 84, parameters=SPACE)
    begin(store, "pipeline", unit_cube(60, 5, 3), limit=60, metrics=THREE)
    store.close()


def _keep(window: Page, path: Path) -> None:
    window.wait_for_timeout(500)
    path.write_bytes(_webp(window))
    print(f"{path} {path.stat().st_size // 1000} kB")


def _webp(window: Page) -> bytes:
    told = window.context.new_cdp_session(window).send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    return base64.b64decode(told["data"])


def _top(window: Page) -> None:
    window.evaluate("scrollTo(0, 0)")


def _to(window: Page, selector: str) -> None:
    window.locator(selector).evaluate("(element) => element.scrollIntoView()")


def _brushed(window: Page) -> None:
    drag_along_an_axis(window)
    _to(window, "#parallel")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
