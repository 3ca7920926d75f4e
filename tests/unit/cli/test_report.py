import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from tuning_cli import plots, report
from tuning_cli.history import History
from tuning_cli.plots import figures, focus, for_script, repainted, widened
from unit.cli.histories import MARKUP, history, trial

ACCURACY = [{"name": "accuracy", "direction": "Maximize"}]
TWO = [{"name": "loss", "direction": "Minimize"}, {"name": "size", "direction": "Minimize"}]
THREE = [*TWO, {"name": "time", "direction": "Minimize"}]


def single(complete: int = 15, pruned: int = 3) -> History:
    done = [trial(i, [0.5 + i / 100], intermediate_values={0: 0.4, 1: 0.5}) for i in range(complete)]
    cut = [trial(i, None, TrialState.PRUNED, intermediate_values={0: 0.1}) for i in range(pruned)]
    failed = [trial(1, None, TrialState.FAIL, user_attrs={"failure": f"ValueError: {MARKUP}"})]
    return history(ACCURACY, done + cut + failed, [(f"ValueError: {MARKUP}", 1)])


def several(metrics: list[dict[str, Any]]) -> History:
    return history(metrics, [trial(i, [float(i), 20.0 - i, float(i % 3)][: len(metrics)]) for i in range(15)])


@pytest.mark.parametrize(
    ("found", "want"),
    [
        (single(), ["history-0", "importance-0", "slice", "parallel", "intermediate"]),
        (single(complete=5, pruned=0), ["history-0", "slice", "parallel"]),
        (single(complete=1, pruned=0), ["history-0"]),
        (single(complete=0), []),
        (several(TWO), ["history-0", "history-1", "pareto", "importance-0", "importance-1", "slice", "parallel"]),
        (
            several(THREE),
            [
                *("history-0", "history-1", "history-2", "pareto"),
                *("importance-0", "importance-1", "importance-2", "slice", "parallel"),
            ],
        ),
    ],
    ids=["single", "few", "one", "none", "two", "three"],
)
def test_plots_that_a_history_can_carry(found: History, want: list[str]) -> None:
    assert [figure.key for figure in figures(found)] == want


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts, self.loaded, self.text = 0, [], []  # type: ignore[var-annotated]
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.loaded += [(tag, name, value) for name, value in attrs if name in ("src", "href", "onerror", "onload")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_is_whole_and_nothing_in_it_is_taken_for_markup(tmp_path: Path) -> None:
    found = single()
    report.write(found, tmp_path / "deep" / "report.html")
    page = Page((tmp_path / "deep" / "report.html").read_text())

    assert page.loaded == [], "works without a network"
    assert page.scripts == len(figures(found)) + 2, "plotly, our own, and one for each plot"
    shown = " ".join("".join(page.text).split())
    for want in (f"digits{MARKUP}", f"ValueError: {MARKUP}", "the goal is reached", "0.64", "5.0.0", "worker-0"):
        assert want in shown, want


def test_a_round_without_a_complete_trial_has_a_page(tmp_path: Path) -> None:
    report.write(single(complete=0), tmp_path / "report.html")
    assert "No trial is complete" in (tmp_path / "report.html").read_text()


def test_a_plot_that_cannot_be_drawn_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(optuna.visualization, "plot_param_importances", refuse)
    assert "importance-0" not in [figure.key for figure in figures(single())]


@pytest.mark.parametrize(
    ("values", "direction", "want"),
    [
        ([0.9 + i / 1000 for i in range(20)], "Maximize", None),  # all fit
        ([0.1, 0.2] + [0.9 + i / 1000 for i in range(18)], "Maximize", (0.8986, 0.9184)),
        ([1.0 + i for i in range(19)] + [1e6], "Minimize", (-0.36, 19.36)),
        ([0.1] + [0.9] * 19, "Maximize", None),  # nothing to tell apart
        ([float("nan"), float("inf")] * 10, "Minimize", None),
        ([0.1, 0.9], "Maximize", None),
    ],
)
def test_focus(values: list[float], direction: str, want: tuple[float, float] | None) -> None:
    found = focus(values, direction)
    assert found == (pytest.approx(want, rel=0.01) if want else None)


def test_curves_have_room_for_reports_near_the_frame() -> None:
    assert widened(None, [1.0]) is None
    assert widened((0.0, 1.0), [0.5]) == (0.0, 1.0)
    assert widened((0.0, 1.0), [1.3, 99.0]) == pytest.approx((0.0, 1.4))


def test_scripts_cannot_be_left() -> None:
    assert not re.search("[<>&\u2028]", for_script(f'{{"a": "{MARKUP}<!-- & \u2028"}}'))


@pytest.mark.parametrize(
    ("colour", "want"),
    [
        ("rgb(247,251,255)", plots._WORSE),
        ("rgb(8.0, 48.0, 107.0)", plots._BETTER),
        ("#cccccc", "#cccccc"),
    ],
)
def test_repainted(colour: str, want: str) -> None:
    assert repainted(colour) == want
