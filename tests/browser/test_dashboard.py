"""`tuning dashboard` as its users meet it: the command, a PostgreSQL, and Chromium."""

import socket
from contextlib import ExitStack
from urllib.parse import quote

import pytest
from optuna.trial import TrialState
from playwright.sync_api import expect

from browser.conftest import WIDTHS, Open, quickest, running_dashboard, see_all
from browser.studies import MARKUP, SPACE, begin, classifier, unit_cube
from tuning_store.store import Store

ERROR = [{"name": "error", "direction": "Minimize"}]


def study_page(dashboard: str, study: str) -> str:
    return f"{dashboard}study?name={quote(study)}"


def test_the_list_shows_sixty_studies_within_half_a_second(dashboard: str, store: Store, open_page: Open) -> None:
    for index in range(60):
        begin(store, f"study-{index:02}", classifier(12, seed=index), limit=20)
    window = open_page()
    window.goto(dashboard)
    rows = window.locator(".studies tbody tr")
    expect(rows).to_have_count(60)

    def seen() -> float:
        window.reload()
        rows.first.wait_for()
        return float(window.evaluate("performance.now()")) / 1000

    assert quickest(seen) < 0.5
    window.get_by_role("searchbox").fill("study-4")
    expect(rows).to_have_count(10)
    window.get_by_role("link", name="study-47").click()
    expect(window.locator("h1")).to_have_text("study-47")


def test_a_picture_of_the_page_as_it_has_loaded_shows_the_studies(
    dashboard: str, store: Store, open_page: Open
) -> None:
    study = begin(store, "digits", classifier(12), limit=20)
    window = open_page()
    for address, want in ((dashboard, "digits"), (study_page(dashboard, study), "Running")):
        window.goto(address, wait_until="load")
        assert want in window.locator("main").inner_text()


def test_trials_come_by_themselves_and_the_filter_stays(dashboard: str, store: Store, open_page: Open) -> None:
    trials = classifier(40)
    used = sum(trial.state is not TrialState.FAIL for trial in trials)
    study = begin(store, "digits", trials[:20], limit=used, parameters=SPACE)
    window = open_page()
    window.goto(study_page(dashboard, study))
    expect(window.locator(".live")).to_have_text("live")
    window.locator("#filter-column").select_option("parameter:kernel")
    window.locator(".filter-value select").select_option("rbf")
    window.get_by_role("button", name="Add filter").click()
    rbf = [trial.params["kernel"] == "rbf" for trial in trials]
    expect(window.locator(".filter strong")).to_have_text(f"{sum(rbf[:20])} of 20 trials")

    store.load_study(study).add_trials(trials[20:])
    expect(window.locator(".filter strong")).to_have_text(f"{sum(rbf)} of 40 trials")
    expect(window.locator(".state").first).to_have_text("Complete")
    window.locator("#importance").scroll_into_view_if_needed()
    expect(window.locator("#importance canvas")).to_have_count(1)


def test_a_new_study_joins_the_list(dashboard: str, store: Store, open_page: Open) -> None:
    window = open_page()
    window.goto(dashboard)
    expect(window.locator(".remark")).to_contain_text("tuning run FILE")
    begin(store, "digits", classifier(5), limit=10)
    expect(window.get_by_role("link", name="digits")).to_be_visible()


def test_rounds_and_studies_are_compared(dashboard: str, store: Store, open_page: Open) -> None:
    begin(store, "digits", classifier(30, seed=1), limit=30)
    second = begin(store, "digits", classifier(30, seed=2), number=2, limit=30)
    begin(store, "other", unit_cube(20, 4), limit=20, metrics=ERROR)
    window = open_page()
    window.goto(study_page(dashboard, second))
    expect(window.locator("nav [aria-current]")).to_have_text("round 2")
    window.get_by_role("link", name="Compare the rounds").click()
    expect(window.get_by_role("row")).to_have_count(3)
    expect(window.locator("#compare canvas")).to_have_count(1)

    window.goto(dashboard)
    for name in ("digits", "other"):
        window.get_by_role("checkbox", name=f"Choose {name} ").check()
    window.get_by_role("link", name="Compare").click()
    expect(window.get_by_role("row", name="other")).to_contain_text("has no accuracy")


def test_a_lost_connection_is_told_and_mended(open_page: Open, store: Store, postgres_url: str) -> None:
    study = begin(store, "digits", classifier(10), limit=20)
    window = open_page(admit="net::ERR")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with ExitStack() as first:
        window.goto(study_page(first.enter_context(running_dashboard(postgres_url, port)), study))
        expect(window.locator(".live")).to_have_text("live")
    expect(window.locator(".live")).to_contain_text("connection lost")
    with running_dashboard(postgres_url, port):
        expect(window.locator(".live")).to_have_text("live")
        window.goto("about:blank")


def test_a_trial_tells_what_it_has_written(dashboard: str, store: Store, open_page: Open) -> None:
    study = begin(store, "digits", classifier(12), limit=20)
    window = open_page()
    window.goto(study_page(dashboard, study))
    window.get_by_role("button", name="All about it").click()
    window.get_by_role("button", name="Show what it has written").click()
    expect(window.get_by_role("dialog")).to_contain_text("It has written nothing, or its worker's log is gone.")


def test_a_study_that_is_not_there_is_told(dashboard: str, store: Store, open_page: Open) -> None:
    window = open_page(admit="404 (Not Found)")
    window.goto(study_page(dashboard, f"local/{MARKUP}/uid/r1"))
    expect(window.locator(".notice")).to_contain_text(f"the store has no study local/{MARKUP}/uid/r1")


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out(dashboard: str, store: Store, open_page: Open, width: int) -> None:
    study = begin(store, "a-study-with-a-rather-long-name-of-fifty-two-letters", classifier(30), limit=30)
    window = open_page(width)
    for address in (dashboard, study_page(dashboard, study)):
        window.goto(address)
        window.get_by_role("heading", level=1).wait_for()
        see_all(window)
        assert window.evaluate("document.documentElement.scrollWidth - innerWidth") == 0


def test_ten_thousand_trials_are_seen_in_two_seconds_and_followed(
    dashboard: str, store: Store, open_page: Open
) -> None:
    trials = unit_cube(10_001, 20)
    study = begin(store, "big", trials[:10_000], limit=20_000, metrics=ERROR)
    window = open_page()

    def seen() -> float:
        window.goto(study_page(dashboard, study))
        window.locator("#history canvas").wait_for()
        return float(window.evaluate("performance.now()")) / 1000

    assert quickest(seen) < 2
    store.load_study(study).add_trial(trials[-1])
    expect(window.locator(".filter strong")).to_have_text("all 10,001 trials")
