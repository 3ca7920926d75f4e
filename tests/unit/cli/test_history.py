"""`tuning history`: a table, documents for programs, a page, and what was in production at a moment."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from builders import NOW
from tuning_cli.app import app
from tuning_client import recorded
from tuning_client.exceptions import WrongUse
from unit.report.test_recorded import LINES


@pytest.fixture(autouse=True)
def lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "read", lambda _target, _name: LINES)


def history(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["history", "digits", *arguments])


def test_a_page_is_written_and_its_file_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert history("-o", "html").output == "digits-history.html\n"
    assert "tuning record" in Path("digits-history.html").read_text()
    assert history("-o", "html", "-f", "other.html").output == "other.html\n"
    assert Path("other.html").exists()


def test_programs_get_each_line_with_its_evidence() -> None:
    told = json.loads(history("-o", "json").output)
    assert [entry["kind"] for entry in told] == [line.kind for line in LINES]
    assert told[0]["evidence"]["resolved"] == {"seed": 42}


def test_a_moment_is_answered_with_what_served_then_and_why() -> None:
    told = history("--at", f"{NOW.astimezone().replace(tzinfo=None):%Y-%m-%dT23:59}").output
    assert told.startswith("digits-params-r1-")
    assert "trial 3 of round 1 (Created)" in told
    assert "C: 0.5" in told


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-o", "html", "--at", "2026-03-08T13:00"], "--at answers with one line"),
        (["--file", "x.html"], "--file is for the page: write -o html with it"),
    ],
)
def test_options_that_do_not_go_together(arguments: list[str], says: str) -> None:
    error = history(*arguments).exception
    assert isinstance(error, WrongUse) and says in str(error)
