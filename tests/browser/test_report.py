"""The report as its readers meet it: a file, opened in Chromium."""

import re
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from browser.conftest import WIDTHS, Open, Report, drag_along_an_axis, quickest, see_all
from browser.studies import MARKUP, PHASES, SLOWEST, SPACE, THREE, classifier, hostile, make_history, named, unit_cube
from tuning_report.round_history import History

SIXTY = make_history(classifier(60), parameters=SPACE, strategy={"phases": PHASES})
FRONT = make_history(
    unit_cube(120, 5, 3), metrics=THREE, constraints=[{"metric": "latencyMs", "max": SLOWEST}], name="pipeline"
)
SECTIONS = ("history", "importance", "contour", "parallel", "trials", "slices", "curves", "timeline", "failures")

OVERFLOWING = """() => {
  const inside = ".scroll, .tip, .unseen, .skip, dialog:not([open])";
  const wide = (element) => element.getBoundingClientRect().right > innerWidth + 1 && !element.closest(inside);
  const found = [...document.querySelectorAll("main *")].filter(wide).map((element) => element.outerHTML.slice(0, 120));
  return [document.documentElement.scrollWidth - innerWidth, found];
}"""


def shown_count(window: Page) -> str:
    return window.locator(".filter strong").inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_part_is_drawn_and_nothing_sticks_out(open_page: Open, report: Report, width: int, theme: str) -> None:
    window = open_page(width, theme=theme)
    window.goto(report(SIXTY))
    see_all(window)
    for section in SECTIONS:
        expect(window.locator(f"#{section}")).to_be_visible()
    for section in ("history", "importance", "contour", "parallel", "slices", "curves", "timeline"):
        assert window.locator(f"#{section} canvas").count() >= 1, section
    assert window.evaluate(OVERFLOWING) == [0, []]


@pytest.mark.parametrize("width", WIDTHS)
def test_three_objectives_are_three_charts(open_page: Open, report: Report, width: int) -> None:
    window = open_page(width)
    window.goto(report(FRONT))
    see_all(window)
    expect(window.locator("#pareto .chart")).to_have_attribute("aria-label", re.compile("in the Pareto set"))
    assert window.locator("#pareto canvas").count() == 1
    assert window.evaluate(OVERFLOWING) == [0, []]


@pytest.mark.parametrize(
    "found",
    [
        make_history([]),
        make_history(classifier(1)),
        make_history(classifier(3)),
        make_history(unit_cube(12, 3, 2), metrics=THREE[:2]),
    ],
    ids=["no trial", "one", "three", "two objectives"],
)
def test_small_histories_have_a_page_too(open_page: Open, report: Report, found: History) -> None:
    window = open_page()
    window.goto(report(found))
    see_all(window)
    expect(window.locator("h1")).to_have_text("digits")


def test_what_a_study_contains_is_text(open_page: Open, report: Report) -> None:
    window = open_page()
    window.goto(report(named(make_history(hostile()), f"digits{MARKUP}")))
    see_all(window)
    expect(window.locator("h1")).to_have_text(f"digits{MARKUP}")
    window.get_by_role("button", name="Trial 0", exact=True).first.click()
    expect(window.get_by_role("dialog")).to_contain_text(MARKUP)
    assert window.evaluate(OVERFLOWING) == [0, []]
    assert window.locator("img").count() == 0


@pytest.mark.parametrize("width", [360, 1440])
def test_what_became_of_a_tables_columns_is_told(open_page: Open, report: Report, width: int) -> None:
    lines = [f"{', '.join(f'column {index}' for index in range(20))} and 980 more: numbers", f"{MARKUP}: left out"]
    window = open_page(width)
    window.goto(report(replace(SIXTY, preparation=lines)))
    for line in lines:
        expect(window.locator("#asked")).to_contain_text(line)
    assert window.evaluate(OVERFLOWING) == [0, []]


def test_a_stretch_of_an_axis_filters_the_table(open_page: Open, report: Report) -> None:
    window = open_page(1440, 1000)
    window.goto(report(SIXTY))
    assert shown_count(window) == "all 60 trials"
    drag_along_an_axis(window)
    expect(window.locator(".chip")).to_have_count(1)
    low = float(window.locator(".chip").inner_text().split(" to ")[0].removeprefix("C "))
    index = window.locator(".trials thead th").all_inner_texts().index("C")
    column = [float(row.split("\t")[index]) for row in window.locator(".trials tbody").inner_text().splitlines()]
    assert 0 < len(column) < 60
    assert min(column) >= low * 0.999
    window.get_by_role("button", name="Clear all").click()
    expect(window.locator(".filter strong")).to_have_text("all 60 trials")


def test_an_axis_of_texts_filters_by_them(open_page: Open, report: Report) -> None:
    window = open_page(1440, 1000)
    window.goto(report(SIXTY))
    drag_along_an_axis(window, axis=1, of=7)
    expect(window.locator(".chip")).to_contain_text("kernel is ")


def test_the_form_filters_as_an_axis_does_without_a_pointer(open_page: Open, report: Report) -> None:
    window = open_page()
    window.goto(report(SIXTY))
    window.locator("#filter-column").focus()
    window.locator("#filter-column").select_option("parameter:kernel")
    window.keyboard.press("Tab")
    window.keyboard.press("p")  # poly
    window.keyboard.press("Tab")
    window.keyboard.press("Enter")
    expect(window.locator(".chip")).to_contain_text("kernel is poly")
    poly = sum(trial.params["kernel"] == "poly" for trial in SIXTY.trials)
    expect(window.locator(".filter strong")).to_have_text(f"{poly} of 60 trials")


def test_a_filter_that_is_no_number_says_so(open_page: Open, report: Report) -> None:
    window = open_page()
    window.goto(report(SIXTY))
    window.locator(".filter-form input").first.fill("much")
    window.get_by_role("button", name="Add filter").click()
    expect(window.get_by_role("alert")).to_have_text("Give a number in one of the two fields.")


def test_a_heading_sorts_all_trials(open_page: Open, report: Report) -> None:
    window = open_page()
    window.goto(report(make_history(classifier(120), parameters=SPACE)))
    heading = window.locator('[data-sort="parameter:C"]')
    heading.click()
    expect(window.locator("th[aria-sort=ascending]")).to_contain_text("C")
    first = min(trial.params["C"] for trial in classifier(120))
    index = window.locator(".trials thead th").all_inner_texts().index("C ↑")
    shown = window.locator(".trials tbody tr").first.locator("th, td").nth(index).inner_text()
    assert float(shown) == pytest.approx(first, rel=1e-4)
    window.get_by_role("button", name="Last page").click()
    expect(window.locator(".place")).to_have_text("101–120 of 120")
    expect(heading).to_be_visible()


def test_a_dot_tells_its_parameters_to_pointer_and_keyboard(open_page: Open, report: Report) -> None:
    window = open_page()
    window.goto(report(SIXTY))
    chart = window.locator("#history .chart")
    chart.focus()
    window.keyboard.press("End")
    expect(window.locator(".tip-body")).to_contain_text("kernel")
    expect(window.locator("#announcements")).to_contain_text("kernel")
    window.keyboard.press("Enter")
    expect(window.get_by_role("dialog")).to_be_visible()
    window.keyboard.press("Escape")
    expect(window.get_by_role("dialog")).to_be_hidden()
    expect(chart).to_be_focused()


def test_a_trial_tells_why_it_failed(open_page: Open, report: Report) -> None:
    window = open_page(390)
    window.goto(report(SIXTY))
    window.locator("#failures summary", has_text="did not converge").click()
    expect(window.locator("#failures details", has_text="did not converge")).to_contain_text('"train.py", line 7')
    window.locator("#failures details", has_text="did not converge").get_by_role("button", name="Show these").click()
    expect(window.locator(".chip")).to_contain_text("failure is Traceback")
    window.locator(".trials tbody button").first.click()
    expect(window.get_by_role("dialog")).to_contain_text("line 31, in objective")


FOCUSABLE = """() => {
  const closed = "dialog:not([open]), details:not([open]) > :not(summary)";
  const seen = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.disabled;
  const all = document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']");
  return [...all].filter((element) => seen(element) && !element.closest(closed)).length;
}"""
FOCUSED = """() => {
  const element = document.activeElement;
  element.dataset.reached ??= Math.random();
  const marked = element === document.body || getComputedStyle(element).outlineStyle !== "none";
  return [element.dataset.reached, marked ? "" : element.outerHTML.slice(0, 200)];
}"""


def test_the_keyboard_reaches_everything(open_page: Open, report: Report) -> None:
    window = open_page()
    window.goto(report(make_history(classifier(12), parameters=SPACE)))
    see_all(window)
    wanted = window.evaluate(FOCUSABLE)
    reached = set()
    for _ in range(wanted + 5):
        window.keyboard.press("Tab")
        element, unmarked = window.evaluate(FOCUSED)
        reached.add(element)
        assert unmarked == ""
    assert wanted > 25
    assert len(reached) >= wanted


CONTRASTS = """() => {
  const channel = (value) => { const c = value / 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const ground = (element) => {
    const found = [];
    for (let e = element; e; e = e.parentElement) found.unshift(getComputedStyle(e).backgroundColor);
    return found;
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest(".unseen, .skip, option, :disabled")) continue;
    const under = ground(element);
    const [a, b] = [light(over([...under, getComputedStyle(element).color])), light(over(under))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) poor.push(`${contrast.toFixed(2)} ${element.outerHTML.slice(0, 100)}`);
  }
  return poor;
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(open_page: Open, report: Report, theme: str) -> None:
    window = open_page(theme=theme)
    window.goto(report(SIXTY))
    see_all(window)
    assert window.evaluate(CONTRASTS) == []


RAMP = """async () => {
  const { ramp, colour } = await import("tuning/theme.js");
  const light = (text) => { const [r, g, b] = text.match(/\\d+/g).map(Number); return 0.3 * r + 0.6 * g + 0.1 * b; };
  const page = light(`rgb(${[1, 3, 5].map((i) => parseInt(colour("card").slice(i, i + 2), 16)).join(",")})`);
  return Array.from({ length: 11 }, (_, step) => Math.abs(light(ramp()(step / 10)) - page));
}"""


BEST_SO_FAR = """() => {
  const { series } = document.querySelector("#history .chart").chart.instance.getOption();
  return series.find(({ type }) => type === "line").data;
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_better_a_trial_the_more_it_stands_out(open_page: Open, report: Report, theme: str) -> None:
    window = open_page(theme=theme)
    window.goto(report(SIXTY))
    distances: list[float] = window.evaluate(RAMP)
    assert distances == sorted(distances)


def test_the_best_so_far_never_gets_worse(open_page: Open, report: Report) -> None:
    window = open_page()
    window.goto(report(SIXTY))
    see_all(window)
    window.emulate_media(color_scheme="dark")  # all is drawn anew
    see_all(window)
    trials, values = zip(*window.evaluate(BEST_SO_FAR), strict=True)
    assert list(trials) == sorted(trials)
    assert list(values) == sorted(values)
    assert len(values) > 2


def test_an_importance_that_is_not_settled_says_so(open_page: Open, report: Report) -> None:
    window = open_page()
    window.goto(report(make_history(unit_cube(12, 4))))
    expect(window.locator("#importance .remark")).to_contain_text("Not settled yet")
    window.goto(report(make_history(classifier(8), parameters=SPACE)))
    expect(window.locator("#importance .remark")).to_contain_text("Too early to tell")


def test_ten_thousand_trials_are_seen_within_two_seconds(open_page: Open, report: Report) -> None:
    window = open_page()
    address = report(make_history(unit_cube(10_000, 20), name="big"))

    def seen() -> float:
        window.goto(address)
        window.locator("#history canvas").wait_for()
        return float(window.evaluate("performance.now()")) / 1000

    assert quickest(seen) < 2
    expect(window.locator(".filter strong")).to_have_text("all 10,000 trials")


SLOWEST_FRAME = """async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  let slowest = 0;
  for (let y = 0; y < document.documentElement.scrollHeight; y += 120) {
    const began = performance.now();
    scrollTo(0, y);
    await frame();
    slowest = Math.max(slowest, performance.now() - began);
  }
  return slowest / 1000;
}"""


def test_ten_thousand_trials_scroll_without_a_halt(open_page: Open, report: Report) -> None:
    window = open_page()
    window.goto(report(make_history(unit_cube(10_000, 20), name="big")))
    window.locator("#history canvas").wait_for()
    assert quickest(lambda: float(window.evaluate(SLOWEST_FRAME))) < 0.3
