import json

import pytest
from ruamel.yaml import YAML

from tuning_cli.output import Format, render
from tuning_report import format as formats
from tuning_report.format import table, visible
from tuning_study.documents import read_documents


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (None, "-"),
        ("", "-"),
        (True, "true"),
        (3, "3"),
        (0.1 + 0.2, "0.3"),
        (1234567.0, "1.23457e+06"),
        ({"C": 0.5, "kernel": None}, "C=0.5 kernel=null"),
        ({}, "-"),
        ("two\nlines", "two lines"),
    ],
)
def test_cell(value: object, want: str) -> None:
    assert formats.cell(value) == want


@pytest.mark.parametrize(
    ("seconds", "want"),
    [(-1, "0s"), (0.4, "0s"), (59.4, "59s"), (59.6, "1m00s"), (200, "3m20s"), (7500, "2h05m"), (273_600, "3d4h")],
)
def test_duration(seconds: float, want: str) -> None:
    assert formats.duration(seconds) == want


def test_table_has_a_column_for_every_key_and_no_trailing_space() -> None:
    told = formats.table([{"name": "a", "best": 0.5}, {"name": "longer", "state": "Running"}])
    assert told.splitlines() == [
        "NAME     BEST   STATE",
        "a        0.5    -",
        "longer   -      Running",
    ]


def test_scripts_get_values_as_they_are() -> None:
    data = [{"trial": 1, "metrics": {"x": 0.1 + 0.2}, "parameters": {"kind": None, "text": "no: yes\nü"}}]
    assert json.loads(render(Format.JSON, data, "")) == data
    assert YAML(typ="safe").load(render(Format.YAML, data, "")) == data
    assert render(Format.TABLE, data, "for people") == "for people"


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("plain – é 😀", "plain – é 😀"),
        ("\x1b[2J\x1b]0;title\x07", "\\u001b[2J\\u001b]0;title\\u0007"),
        ("\x9b31m\x7f", "\\u009b31m\\u007f"),
        ("over\rwritten", "over\\u000dwritten"),
        ("\u202edesrever", "\\u202edesrever"),
        ("a\x00b\ud800", "a\\u0000b\\ud800"),
    ],
)
@pytest.mark.parametrize("form", Format)
def test_no_text_of_a_trial_reaches_the_terminal_as_a_command(form: Format, text: str, want: str) -> None:
    printed = render(form, {"reason": text}, table([{"reason": text}]))
    assert visible(printed) == printed
    assert form is not Format.TABLE or want in printed
    printed.encode()


def test_a_text_of_many_lines_stays_in_its_row() -> None:
    assert len(table([{"reason": "a\nb\u2028c"}]).splitlines()) == 2


@pytest.mark.parametrize(
    "text", ["on", "No", "y", "010", "1_000", "0b1", "1e3", "true", "null", "~", "", ".inf", "2020-01-01"]
)
def test_text_is_printed_so_that_every_reader_takes_it_for_text(text: str) -> None:
    (document,) = read_documents(render(Format.YAML, {"value": text, text or "key": 1}, ""))
    assert list(document.content.items()) == [("value", text), (text or "key", 1)]
