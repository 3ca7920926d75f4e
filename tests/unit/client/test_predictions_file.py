"""Files of predictions and labels, as `tuning observe --predictions` reads them."""

from pathlib import Path
from typing import Any

import pytest

from tuning_client.cluster.predictions_file import AT_ONCE, Batch, read_predictions
from tuning_client.exceptions import WrongUse


def read(folder: Path, text: str | bytes) -> list[Batch]:
    file = folder / "told.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_predictions(file))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("fraud", "fraud"),
        ("3", 3),
        ("0.25", 0.25),
        ("1e-3", 0.001),
        ("true", True),
        ("True", "True"),
        ("007", "007"),
        ("NaN", "NaN"),
        ("1e999", "1e999"),
        ("null", "null"),
        ('"a,b"', "a,b"),
        ('"[1, 2]"', "[1, 2]"),
    ],
)
def test_a_value_is_read_alike_in_both_columns(tmp_path: Path, written: str, value: Any) -> None:
    [batch] = read(tmp_path, f"id,prediction,label\na,{written},{written}\n")
    assert batch.predictions == batch.labels == [{"id": "a", "value": value}]


def test_an_empty_field_tells_nothing(tmp_path: Path) -> None:
    [batch] = read(tmp_path, "id,prediction,label\na,1,\nb,,0\n")
    assert batch == Batch([{"id": "a", "value": 1}], [{"id": "b", "value": 0}])


def test_a_time_is_that_of_the_prediction(tmp_path: Path) -> None:
    [batch] = read(tmp_path, "\ufeffid,time,prediction,label\r\na,2026-12-01T08:00:00+00:00,1,1\r\n")
    assert str(batch.predictions[0]["time"])[:4] == "2026"
    assert batch.labels == [{"id": "a", "value": 1}]


def test_a_long_file_goes_in_parts_that_the_exporter_takes(tmp_path: Path) -> None:
    lines = "".join(f"{number},1,1\n" for number in range(AT_ONCE + 1))
    assert [len(batch.labels) for batch in read(tmp_path, "id,prediction,label\n" + lines)] == [AT_ONCE, 1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "told.csv:1: no column id, and prediction or label: write a first line such as id,prediction,label,time"),
        ("id,time\na,b\n", "told.csv:1: no column id, and prediction or label"),
        ("id,predicted\na,1\n", "told.csv:1: unknown column 'predicted': write a first line such as"),
        ("id,label\na,1\n,2\n", "told.csv:3: no id"),
        ("id,label\na,1,2\n", "told.csv:2: more fields than columns"),
        ("id,prediction,time\na,1,soon\n", "told.csv:2: 'soon' is no time: write 2026-12-01T08:00:00Z"),
        (b"id,label\na,\xff\n", "codec can't decode"),
        ('id,label\na,"1\n', "unexpected end of data"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    with pytest.raises(WrongUse) as refused:
        read(tmp_path, text)
    assert sentence in str(refused.value)
