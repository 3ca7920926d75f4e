"""What `tuning init` sees in a file, and what it chooses by it."""

from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest

from tuning_client.exceptions import WrongUse
from tuning_client.starting import choices
from tuning_client.starting.families import Kind, families
from tuning_client.starting.table import Table, look

ROWS = 120


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "table.csv"
    path.write_bytes(text.encode(encoding))
    return path


def table_of(folder: Path, **columns: Any) -> Table:
    """Of a file with these columns besides numbers, and the target `y`."""
    rng = numpy.random.default_rng(0)
    rows = len(next(iter(columns.values())))
    path = folder / "table.csv"
    pandas.DataFrame({"x": rng.normal(size=rows), **columns}).to_csv(path, index=False)
    return look(path, "y")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("a,y\n1,2\n2,3\n", {}),
        ("a;y\n1,5;2\n2,5;3\n", {"separator": ";", "decimal": ","}),
        ("a\ty\n1\t2\n2\t3\n", {"separator": "\t"}),
        ("a,b,y\n1,x,2\n?,x,3\n3,x,4\n", {"missing": ["?"]}),
        ("id,a,y\n7,1,2\n9,2,3\n", {"index": "id"}),
        ("a,y\nMünchen,2\nKöln,3\n", {"encoding": "latin-1"}),
    ],
    ids=["plain", "spreadsheet", "tabs", "marks", "row numbers", "latin-1"],
)
def test_how_a_file_has_to_be_read_is_seen(text: str, options: dict[str, Any], tmp_path: Path) -> None:
    assert look(written(tmp_path, text, options.get("encoding", "utf-8")), "y").options == options


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (["yes", "no"] * 60, "classifier"),
        ([True, False] * 60, "classifier"),
        ([0, 1, 2] * 40, "classifier"),
        ([*range(120)], "regressor"),
        ([0.5, 1.5] * 60, "regressor"),
        ([3, 4, 5, 6, 7, 8, 9, 10, 11] * 4, "regressor"),
    ],
    ids=["text", "truth", "codes", "counts", "fractions", "many for few rows"],
)
def test_what_is_predicted_follows_from_the_targets_values(target: list[Any], kind: Kind, tmp_path: Path) -> None:
    assert table_of(tmp_path, y=target).kind == kind


@pytest.mark.parametrize(
    ("target", "metric"),
    [
        (["yes", "no"] * 60, "accuracy"),
        (["yes"] * 10 + ["no"] * 110, "roc_auc"),
        (["a"] * 100 + ["b"] * 10 + ["c"] * 10, "balanced_accuracy"),
    ],
    ids=["even", "one of two is rare", "some of three are rare"],
)
def test_a_rare_class_changes_the_metric(target: list[str], metric: str, tmp_path: Path) -> None:
    assert choices.metric("classifier", table_of(tmp_path, y=target)).value == metric


def test_few_huge_numbers_change_the_metric(tmp_path: Path) -> None:
    assert choices.metric("regressor", table_of(tmp_path, y=[*range(1, 120)])).value == "r2"
    assert (
        choices.metric("regressor", table_of(tmp_path, y=[*range(1, 119), 10_000])).value == "neg_mean_absolute_error"
    )


def test_rows_in_the_order_of_their_dates_are_split_in_time(tmp_path: Path) -> None:
    days = pandas.date_range("2024-01-01", periods=ROWS).astype(str)
    table = table_of(tmp_path, day=days, y=["yes", "no"] * 60)
    assert table.time == "day"
    assert "in time" in choices.cross_validation("classifier", table).why


def test_dates_in_no_order_are_features(tmp_path: Path) -> None:
    days = pandas.date_range("2024-01-01", periods=ROWS).astype(str)[::-1]
    table = table_of(tmp_path, day=days, y=["yes", "no"] * 60)
    assert table.time is None
    assert table.dates == ["day"]
    assert any("add `time: day`" in told for told in choices.preparation(families()["svm"], table))


@pytest.mark.parametrize(
    ("target", "split"),
    [
        (["a", "b"] * 300, {"folds": 5}),
        (["a", "b"] * 60, {"folds": 5, "repeats": 2}),
        (["a"] * 600 + ["b"] * 3, {"folds": 3}),
        (["a", "b"] * 12_000, {"folds": 3}),
        (["a", "b"] * 110_000, {"splitter": "Holdout", "folds": 5}),
    ],
    ids=["usual", "few rows", "a class of three", "many rows", "very many rows"],
)
def test_folds_follow_from_the_rows(target: list[str], split: dict[str, Any], tmp_path: Path) -> None:
    assert choices.cross_validation("classifier", table_of(tmp_path, y=target)).value == split


def test_text_and_gaps_are_told_in_the_words_of_the_model(tmp_path: Path) -> None:
    table = table_of(tmp_path, city=["Metz", None] * 60, y=["yes", "no"] * 60)
    svm, catboost = (" ".join(choices.preparation(families()[name], table)) for name in ("svm", "catboost"))
    assert "Gaps (city; in city 50% of the rows): the median" in svm
    assert "categories as the model takes them" in catboost


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("a,y\n1,\n2,3\n", "'y' has no value in 1 of 2 rows"),
        ("a,y\n1,3\n2,3\n", "'y' is 3 in every row"),
        ("a,y\n", "has no rows"),
        ("y\n1\n2\n", "has no column besides the target"),
        ("", "cannot be read: No columns"),
        ('a,y\n"1,2\n', "cannot be read"),
    ],
)
def test_a_table_that_nothing_can_be_learned_from_is_refused(text: str, answer: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUse) as raised:
        look(written(tmp_path, text), "y")
    assert answer in str(raised.value)


def test_parquet_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pandas.DataFrame({"a": [1.0, 2.0, 3.0], "y": ["u", "v", "u"]}).to_parquet(path)
    table = look(path, "y")
    assert not table.is_csv
    assert table.classes == [("u", 2), ("v", 1)]
