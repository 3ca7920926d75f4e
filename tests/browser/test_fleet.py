"""The pages of studies in production, in a real Chromium."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser.conftest import WIDTHS, Open, quickest, running_fleet, see_all
from fleets import (
    MARKUP,
    FakeFleet,
    degraded,
    healthy,
    make_watched,
    many,
    metric,
    observed,
    promotion,
    round_,
    sent,
    soon,
)
from tuning_dashboard import app
from tuning_store.exceptions import StoreUnavailable
from tuning_store.features import KnownFeatures
from tuning_store.production import Evidence


@pytest.fixture
def fleet() -> FakeFleet:
    now = soon()
    return FakeFleet(degraded(now), {"digits": (observed(now), sent(now))})


@pytest.fixture
def address(fleet: FakeFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(app, "_FLEET_PACE", 0.2)
    monkeypatch.setattr("tuning_dashboard.fleet._FRESH", 0.0)
    with running_fleet(fleet, tmp_path) as address:
        yield address


def test_what_needs_somebody_is_at_the_top_with_what_to_write(address: str, open_page: Open) -> None:
    window = open_page()
    window.goto(f"{address}/")
    window.get_by_role("link", name="In production").click()
    items = window.locator("#somebody li")
    expect(items).to_have_count(9)
    expect(items.first).to_contain_text("three rounds did not help")
    expect(items.first).to_contain_text("tuning retune digits -n team --reason")
    approval = items.filter(has_text="candidate waits for approval")
    expect(approval).to_contain_text("tuning promote basket -n team")
    waits = window.locator("#waits")
    for text in ("in its cooldown", "rounds of other studies first", "kept out by a gate", "frozen", "to go"):
        expect(waits).to_contain_text(text)
    rounds = window.locator("#rounds tbody tr").first
    for text in ("checkout", "alert", "ErrorsHigh: 4 % of requests", "runs"):
        expect(rounds).to_contain_text(text)


def test_models_are_found_and_filtered(address: str, open_page: Open) -> None:
    window = open_page()
    window.goto(f"{address}/fleet")
    rows = window.locator(".models tbody tr")
    expect(rows).to_have_count(12)
    window.get_by_label("Show").select_option("drifted")
    expect(rows).to_have_count(2)
    window.get_by_label("Show").select_option("all")
    window.get_by_role("searchbox").fill("team/tit")
    expect(rows).to_have_count(1)
    window.get_by_role("searchbox").fill("nothing")
    expect(window.locator("#models")).to_contain_text("No study is so.")


def test_a_study_is_drawn_over_time_with_its_rounds(address: str, open_page: Open) -> None:
    window = open_page()
    window.goto(f"{address}/fleet")
    window.locator(".models").get_by_role("link", name="digits").click()
    window.get_by_role("heading", level=1, name="digits").wait_for()
    window.locator("#metric-accuracy canvas").wait_for()
    see_all(window)
    told = window.locator("#metric-accuracy .chart").get_attribute("aria-label") or ""
    assert "336 observations" in told
    assert "age" in (window.locator("#drift .chart").get_attribute("aria-label") or "")
    expect(window.locator("#rounds tbody tr")).to_have_count(4)
    expect(window.locator("#rounds")).to_contain_text("these may ask for one: Degradation")


def test_a_point_under_the_pointer_tells_its_value_and_samples(address: str, open_page: Open) -> None:
    window = open_page()
    window.goto(f"{address}/fleet/study?place=team/digits")
    canvas = window.locator("#metric-accuracy canvas").first
    canvas.wait_for()
    canvas.hover()
    expect(window.locator("#metric-accuracy .tip")).to_contain_text("samples")


def test_gates_tell_why_parameters_are_kept_out(address: str, open_page: Open) -> None:
    window = open_page()
    window.goto(f"{address}/fleet/study?place=team/reviews")
    better = window.locator("#promotion tr").filter(has_text="Better")
    expect(better).to_contain_text("Refused")
    expect(better).to_contain_text("p = 0.24")


def test_it_follows_the_cluster_and_keeps_the_focus(address: str, fleet: FakeFleet, open_page: Open) -> None:
    window = open_page()
    window.goto(f"{address}/fleet")
    link = window.locator(".models").get_by_role("link", name="titles")
    link.focus()
    fleet.shown = [study for study in fleet.shown if study.name != "digits"]
    expect(window.locator(".models tbody tr")).to_have_count(11)
    expect(link).to_be_focused()
    fleet.unavailable = "no answer"
    expect(window.locator(".live")).to_contain_text("trying again")
    fleet.unavailable = ""
    expect(window.locator(".live")).to_have_text("live")


def test_what_was_opened_stays_open_when_it_changes(address: str, fleet: FakeFleet, open_page: Open) -> None:
    window = open_page()
    window.goto(f"{address}/fleet")
    opened = window.locator("#rounds details")
    opened.locator("summary").click()
    fleet.shown = [study for study in fleet.shown if study.name != "titles"]
    expect(window.locator(".models tbody tr")).to_have_count(11)
    expect(opened).to_have_attribute("open", "")


def test_what_is_not_watched_says_what_to_write(tmp_path: Path, open_page: Open) -> None:
    with running_fleet(FakeFleet([make_watched("plain", spec={})]), tmp_path) as address:
        window = open_page()
        window.goto(f"{address}/fleet")
        expect(window.get_by_role("main")).to_contain_text("No study is watched in production yet.")
        expect(window.locator("pre")).to_contain_text("triggers: [Degradation]")
        window.goto(f"{address}/fleet/study?place=team/plain")
        for part, text in (("#metrics", "push"), ("#drift", "drift:"), ("#promotion", "mode: Manual")):
            expect(window.locator(part)).to_contain_text(text)
        window.goto("about:blank")


def test_where_all_is_well_it_says_so(tmp_path: Path, open_page: Open) -> None:
    with running_fleet(FakeFleet(healthy(soon())), tmp_path) as address:
        window = open_page()
        window.goto(f"{address}/fleet")
        expect(window.locator("#somebody")).to_contain_text("Nothing waits for a person.")
        window.goto(f"{address}/fleet/study?place=risk/churn")
        expect(window.locator("#metric-accuracy")).to_contain_text("tuning observe churn accuracy=0.9 -n risk")
        window.goto("about:blank")


def test_without_the_store_the_status_is_shown_and_the_charts_say_why(
    address: str, fleet: FakeFleet, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> tuple[Evidence, KnownFeatures]:
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(fleet, "told", away)
    window = open_page(admit="503")
    window.goto(f"{address}/fleet/study?place=team/digits")
    expect(window.locator("#metric-accuracy")).to_contain_text("cannot be drawn: the store cannot be read: no answer")
    expect(window.locator("#metric-accuracy")).to_contain_text("0.9025")


def test_hostile_texts_only_ever_become_text(tmp_path: Path, open_page: Open) -> None:
    now = soon()
    study = make_watched(
        MARKUP,
        production=[{**metric(now), "name": MARKUP, "message": MARKUP, "stale": True}],
        promotion=promotion(now, "Held", message=MARKUP, candidate=MARKUP, answer=MARKUP),
        rounds=[round_(1, now, "Manual", reason=MARKUP, comparison=MARKUP)],
        drift={"verdict": "Drifted", "message": MARKUP, "features": [{"name": MARKUP, "psi": 3, "threshold": 0.2}]},
    )
    with running_fleet(FakeFleet([study]), tmp_path) as address:
        window = open_page()
        window.goto(f"{address}/fleet")
        expect(window.locator("#somebody")).to_contain_text(MARKUP)
        window.locator(".models a").click()
        window.get_by_role("heading", level=1).wait_for()
        see_all(window)
        assert window.locator("img").count() == 0
        window.goto("about:blank")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_sticks_out(address: str, open_page: Open, width: int, theme: str) -> None:
    window = open_page(width, theme=theme)
    for path in ("/fleet", "/fleet/study?place=team/digits", "/fleet/study?place=team/reviews"):
        window.goto(f"{address}{path}")
        window.get_by_role("heading", level=1).wait_for()
        see_all(window)
        assert window.evaluate("document.documentElement.scrollWidth - innerWidth") == 0


def test_every_link_and_field_is_reached_by_keyboard_and_has_a_name(address: str, open_page: Open) -> None:
    window = open_page()
    window.goto(f"{address}/fleet")
    window.locator(".models").wait_for()
    nameless = window.evaluate(
        """() => [...document.querySelectorAll("a, button, input, select, summary, progress, [role=region]")]
          .filter((e) => !(e.getAttribute("aria-label") || e.labels?.[0]?.textContent || e.textContent).trim())
          .map((e) => e.outerHTML)"""
    )
    assert nameless == []
    window.keyboard.press("Tab")
    expect(window.get_by_role("link", name="Skip to the content")).to_be_focused()
    for _ in range(6):
        window.keyboard.press("Tab")
    assert window.evaluate("document.activeElement.closest('#somebody') !== null")


def test_two_hundred_studies_are_seen_within_a_second(tmp_path: Path, open_page: Open) -> None:
    with running_fleet(FakeFleet(many(200, soon())), tmp_path) as address:
        window = open_page()
        sizes: list[int] = []

        def seen() -> float:
            answer = window.goto(f"{address}/fleet")
            assert answer is not None
            sizes.append(len(answer.body()))
            window.locator(".models tbody tr").nth(199).wait_for()
            return float(window.evaluate("performance.now()")) / 1000

        best = quickest(seen)
        print(json.dumps({"seconds": round(best, 3), "page bytes": sizes[0]}))
        assert best < 1
        assert sizes[0] < 300_000
        window.goto("about:blank")
