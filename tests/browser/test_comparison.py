"""The page of `tuning compare --report`, opened in Chromium."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser.conftest import WIDTHS, Open, see_all
from browser.test_report import OVERFLOWING
from tuning_report import page
from unit.report.histories import MARKUP
from unit.report.test_comparison import run, told

COMPARED = told(
    [run(0.5, 0.6, 0.9), run(0.5, None, 0.91), run(0.4, 0.45, None)],
    [run(0.5, 0.7, 0.8), run(0.5, None, 0.83), run(0.4, 0.5, None)],
    names=("None", "Median", f"Patient {MARKUP}"),
)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_table_curves_and_notes(open_page: Open, tmp_path: Path, width: int, theme: str) -> None:
    file = tmp_path / "compared.html"
    file.write_text(page.frozen_comparison(COMPARED, datetime(2026, 3, 8, 13, tzinfo=UTC)), encoding="utf-8")
    window = open_page(width, theme=theme)
    window.goto(file.as_uri())
    see_all(window)
    rows = window.locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text(re.compile(r"Median.*no difference shown.*33 %"))
    expect(rows.nth(2)).to_contain_text(MARKUP)
    expect(window.locator("#notes li")).not_to_have_count(0)
    for axis in ("trials", "reports", "time"):
        window.get_by_label("Along").select_option(axis)
        expect(window.locator("#curves canvas")).to_be_visible()
    assert window.evaluate(OVERFLOWING) == [0, []]
