"""The page of `tuning history -o html`, opened in Chromium."""

from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser.conftest import WIDTHS, Open
from browser.test_report import OVERFLOWING
from builders import NOW
from tuning_report import page
from tuning_store.record import Line
from unit.report.histories import MARKUP
from unit.report.test_recorded import LINES


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "record.html"
    made.write_text(page.frozen_record("digits", LINES, NOW + timedelta(days=1)), encoding="utf-8")
    return made


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_lanes_spans_and_lines(open_page: Open, file: Path, width: int, theme: str) -> None:
    window = open_page(width, theme=theme)
    window.goto(file.as_uri())
    expect(window.locator(".lane-bar.served")).to_have_text(["round 1", "round 2", "round 1"])
    expect(window.locator(".lane-bar.round")).to_have_count(2)
    expect(window.locator(".lane-tick")).to_have_count(1)
    rows = window.locator("#served tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text("now")
    expect(rows.nth(1)).to_contain_text(MARKUP)
    expect(window.locator(".record li")).to_have_count(len(LINES))
    assert window.evaluate(OVERFLOWING) == [0, []]


def test_kinds_of_lines_are_left_out_and_evidence_is_opened(open_page: Open, file: Path) -> None:
    window = open_page(1440)
    window.goto(file.as_uri())
    window.get_by_label("rounds", exact=True).uncheck()
    window.get_by_label("refused", exact=True).uncheck()
    expect(window.locator(".record .state")).to_have_text(
        ["RolledBack", "RollingBack", "Promoted", "Verified", "Promoted", "Verified"]
    )
    promoted = window.locator(".record li").nth(2)
    promoted.get_by_text("evidence").click()
    expect(promoted.locator("table")).to_contain_text("Better")
    expect(promoted.locator("pre")).to_contain_text('"stable": "digits-params-r2-')
    window.get_by_label("production", exact=True).uncheck()
    expect(window.locator("#done")).to_contain_text("Nothing of the kind is recorded.")


@pytest.mark.parametrize("lines", [[], LINES[:1]])
def test_little_is_recorded(open_page: Open, tmp_path: Path, lines: list[Line]) -> None:
    file = tmp_path / "record.html"
    file.write_text(page.frozen_record("digits", lines, NOW), encoding="utf-8")
    window = open_page(390)
    window.goto(file.as_uri())
    expect(window.locator("#done")).to_be_visible()
    assert window.evaluate(OVERFLOWING) == [0, []]
