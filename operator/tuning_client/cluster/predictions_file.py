"""A file of predictions and labels, as the exporter takes them. Called by `tuning observe --predictions`."""

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tuning_client.exceptions import WrongUse

AT_ONCE = 10_000
"""Predictions, and labels, that the exporter takes in one body."""
_EXAMPLE = (
    "write a first line such as id,prediction,label,time, of which `prediction` or `label`, and `time`, may be missing"
)
_UNKNOWN = frozenset(("", "na", "nan", "n/a", "none", "null", "<na>", "nat"))  # as spreadsheets, pandas and R write it
_BOOLEANS = {"true": True, "false": False}


@dataclass
class Batch:
    """What goes into one body."""

    predictions: list[Mapping[str, Any]] = field(default_factory=list)
    labels: list[Mapping[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Told:
    """All of a file."""

    predictions: Sequence[Mapping[str, Any]]
    labels: Sequence[Mapping[str, Any]]
    unread: Sequence[str]
    """Columns of other names."""

    def batches(self) -> Iterator[Batch]:
        """As large as the exporter takes. It joins predictions and labels by id, whichever come first."""
        for begin in range(0, max(len(self.predictions), len(self.labels)), AT_ONCE):
            end = begin + AT_ONCE
            yield Batch(list(self.predictions[begin:end]), list(self.labels[begin:end]))


def read_predictions(path: Path) -> Told:
    """Of a CSV file with the columns `id`, `prediction`, `label` and `time`, separated by commas or semicolons. Empty
    fields, NA and NaN tell nothing. `time` is that of the prediction; without a zone it is this machine's. All values
    of a file are of one type, numbers or true and false if they can be, else texts. Raises WrongUse with the line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as text:
            separator = ";" if ";" in text.readline() else ","
            text.seek(0)
            return _read(str(path), csv.DictReader(text, delimiter=separator, skipinitialspace=True, strict=True))
    except UnicodeDecodeError as error:
        raise WrongUse(f"{path}: it is not UTF-8: save it as CSV UTF-8 ({error.reason})") from error
    except csv.Error as error:
        raise WrongUse(f"{path}: {error}") from error
    except OSError as error:
        raise WrongUse(f"{path}: {error.strerror}") from error


def _read(path: str, rows: "csv.DictReader[str]") -> Told:
    columns = [name.strip().lower() for name in rows.fieldnames or ()]
    if missing := _missing(columns):
        raise WrongUse(f"{path}:1: {missing}: {_EXAMPLE}")
    rows.fieldnames = columns
    predictions, labels = [], []
    for row in rows:
        line = f"{path}:{rows.line_num}"
        if None in row:
            raise WrongUse(f"{line}: more fields than columns")
        told = {name: (row[name] or "").strip() for name in columns}
        if not any(told.values()):
            continue
        if not told["id"]:
            raise WrongUse(f"{line}: no id")
        if _is_known(told.get("prediction", "")):
            time = _time(told["time"], line) if _is_known(told.get("time", "")) else {}
            predictions.append({"id": told["id"], "value": told["prediction"], **time})
        if _is_known(told.get("label", "")):
            labels.append({"id": told["id"], "value": told["label"]})
    if not (predictions or labels):
        raise WrongUse(f"{path}: no line of it tells a prediction or a label")
    read = _reader([entry["value"] for entry in (*predictions, *labels)])
    unread = [name for name in columns if name not in ("id", "prediction", "label", "time")]
    return Told(_with_values(predictions, read), _with_values(labels, read), unread)


def _missing(columns: Sequence[str]) -> str:
    if twice := [name for name in ("id", "prediction", "label", "time") if columns.count(name) > 1]:
        return f"the column {twice[0]} is there twice"
    if "id" not in columns:
        return "no column id"
    return "" if {"prediction", "label"} & set(columns) else "no column prediction or label"


def _is_known(text: str) -> bool:
    return text.lower() not in _UNKNOWN


def _reader(values: Sequence[str]) -> Callable[[str], object]:
    if all(text.lower() in _BOOLEANS for text in values):
        return lambda text: _BOOLEANS[text.lower()]
    return _number if all(_number(text) is not None for text in values) else lambda text: text


def _number(text: str) -> int | float | None:
    try:
        found = json.loads(text)
    except ValueError:  # 007 too, which is a name
        return None
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return found if is_number and math.isfinite(found) else None


def _with_values(entries: Sequence[Mapping[str, Any]], read: Callable[[str], object]) -> list[Mapping[str, Any]]:
    return [{**entry, "value": read(entry["value"])} for entry in entries]


def _time(text: str, line: str) -> dict[str, str]:
    try:
        return {"time": datetime.fromisoformat(text).astimezone().isoformat()}
    except ValueError:
        raise WrongUse(f"{line}: {text!r} is no time: write 2026-12-01T08:00:00Z") from None
