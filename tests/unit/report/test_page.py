import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

from optuna.trial import TrialState

from tuning_report import page
from tuning_report.round_history import History
from unit.report.histories import MARKUP, history, trial

ACCURACY = [{"name": "accuracy", "direction": "Maximize"}]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def hostile() -> History:
    failed = trial(1, None, TrialState.FAIL, user_attrs={"tuning:failure": f"ValueError: {MARKUP}\u2028"})
    return history(ACCURACY, [trial(0, [0.5]), failed], [(f"ValueError: {MARKUP}", 1)])


class Html(HTMLParser):
    """The scripts and styles of a page, and whatever it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: dict[str, list[str]] = {"script": [], "style": [], "title": []}
        self.loaded: list[str | None] = []
        self.policy, self.document, self._open = "", "", ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._open = tag
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = str(given["content"])
        if tag in self.texts:
            self.texts[tag].append("")
        self.loaded += [given[name] for name in ("src", "href", "onload", "onerror") if name in given]
        if given.get("id") == "document":
            self._open = "document"

    def handle_data(self, data: str) -> None:
        if self._open == "document":
            self.document += data
        elif self._open in self.texts:
            self.texts[self._open][-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._open = ""


def test_the_report_is_one_file_in_which_nothing_is_taken_for_markup(tmp_path: Path) -> None:
    page.write(hostile(), tmp_path / "deep" / "report.html")
    found = Html((tmp_path / "deep" / "report.html").read_text())
    assert found.loaded == ["data:,"]  # the icon, which is none: works without a network
    assert len(found.texts["script"]) == 3  # the import map, the document, and what starts the page
    assert found.texts["title"] == [f"digits{MARKUP} · tuning report"]
    told = json.loads(found.document)
    assert told["document"]["head"]["name"] == f"digits{MARKUP}"
    assert told["document"]["head"]["failures"] == [
        {"reason": f"ValueError: {MARKUP}", "count": 1, "reasons": [f"ValueError: {MARKUP}"]}
    ]


def test_the_policy_admits_these_scripts_and_this_style_alone() -> None:
    found = Html(page.frozen(hostile(), NOW))
    modules, _, start = found.texts["script"]
    for text, directive in ((modules, "script-src"), (start, "script-src"), (found.texts["style"][0], "style-src")):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        (allowed,) = re.findall(f"{directive} ([^;]*)", found.policy)
        assert f"'sha256-{digest}'" in allowed
    assert "default-src 'none'" in found.policy
    assert "unsafe" not in found.policy


def test_every_module_that_a_module_imports_is_on_the_import_map() -> None:
    sources = {name: source.decode() for name, source in page.assets().items() if name.endswith(".js")}
    imported = {name for source in sources.values() for name in re.findall(r'from "tuning/([^"]+)"', source)}
    assert imported <= set(sources)
    assert set(sources) - imported == {"main.js"}


def test_a_report_is_small() -> None:
    assert len(page.frozen(hostile(), NOW)) < 1_000_000


def test_a_round_without_any_trial_has_a_report() -> None:
    assert '"best":null' in page.frozen(history(ACCURACY, []), NOW)


def test_scripts_cannot_be_left() -> None:
    assert not re.search("[<>&\u2028]", page.for_script({"a": f"{MARKUP}<!-- & \u2028"}))
