"""Files of predictions and labels, as `tuning observe --predictions` reads them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tuning_client.cluster.predictions_file import AT_ONCE, Told, read_predictions
from tuning_client.exceptions import WrongUse


def read(folder: Path, text: str | bytes) -> Told:
    file = folder / "told.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_predictions(file)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("fraud", "fraud"),
        ("3", 3),
        ("0.25", 0.25),
        ("1e-3", 0.001),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        (" ok ", "ok"),
        ("007", "007"),
        ("1e999", "1e999"),
        ('"a,b"', "a,b"),
        ('"[1, 2]"', "[1, 2]"),
    ],
)
def test_a_value_is_read_alike_in_both_columns(tmp_path: Path, written: str, value: Any) -> None:
    told = read(tmp_path, f"id,prediction,label\na,{written},{written}\n")
    assert told.predictions == told.labels == [{"id": "a", "value": value}]
    assert type(told.labels[0]["value"]) is type(value)


@pytest.mark.parametrize("other", ["M", "true", "007"])
def test_all_values_of_a_file_are_texts_where_one_is(tmp_path: Path, other: str) -> None:
    told = read(tmp_path, f"id,prediction,label\na,10,10\nb,10,{other}\n")
    assert [entry["value"] for entry in told.labels] == ["10", other]


@pytest.mark.parametrize("nothing", ["", " ", "NaN", "NA", "None", "null", "<NA>"])
def test_what_is_not_known_tells_nothing(tmp_path: Path, nothing: str) -> None:
    told = read(tmp_path, f"id,prediction,label\na,1,{nothing}\nb,{nothing},0\n")
    assert told == Told([{"id": "a", "value": 1}], [{"id": "b", "value": 0}], [])


def test_what_spreadsheets_and_data_frames_write_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeffID; Prediction ;label\r\na;1;1\r\n;;\r\n").labels == [{"id": "a", "value": 1}]
    assert read(tmp_path, ",id,label,proba\n0,a,1,0.7\n") == Told([], [{"id": "a", "value": 1}], ["", "proba"])


def test_a_time_is_that_of_the_prediction(tmp_path: Path) -> None:
    told = read(tmp_path, "id,time,prediction,label\na,2026-12-01T08:00:00+00:00,1,1\nb,NaT,1,\n")
    assert datetime.fromisoformat(told.predictions[0]["time"]) == datetime(2026, 12, 1, 8, tzinfo=UTC)
    assert told.predictions[1] == {"id": "b", "value": 1}
    assert told.labels == [{"id": "a", "value": 1}]


def test_a_long_file_goes_in_parts_that_the_exporter_takes(tmp_path: Path) -> None:
    lines = "".join(f"{number},1,1\n" for number in range(AT_ONCE + 1))
    told = read(tmp_path, "id,prediction,label\n" + lines)
    assert [(len(batch.predictions), len(batch.labels)) for batch in told.batches()] == [(AT_ONCE, AT_ONCE), (1, 1)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "told.csv:1: no column id: write a first line such as id,prediction,label,time"),
        ("id,predicted\na,b\n", "told.csv:1: no column prediction or label: write a first line such as"),
        ("id,label,Label\na,1,1\n", "told.csv:1: the column label is there twice"),
        ("id,label\n", "told.csv: no line of it tells a prediction or a label"),
        ("id,label\na,1\n,2\n", "told.csv:3: no id"),
        ("id,label\na,1,2\n", "told.csv:2: more fields than columns"),
        ("id,prediction,time\na,1,soon\n", "told.csv:2: 'soon' is no time: write 2026-12-01T08:00:00Z"),
        (b"id,label\na,\xff\n", "told.csv: it is not UTF-8: save it as CSV UTF-8"),
        ('id,label\na,"1\n', "unexpected end of data"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    with pytest.raises(WrongUse) as refused:
        read(tmp_path, text)
    assert sentence in str(refused.value)
