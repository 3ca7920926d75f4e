"""A file of predictions and labels, as the exporter takes them. Called by `tuning observe --predictions`."""

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tuning_client.exceptions import WrongUse

AT_ONCE = 10_000
"""Predictions, and labels, that the exporter takes in one body."""
_COLUMNS = ("id", "prediction", "label", "time")
_EXAMPLE = "write a first line such as id,prediction,label,time: `prediction` or `label` may be missing, `time` too"


@dataclass
class Batch:
    """What goes into one body."""

    predictions: list[Mapping[str, Any]] = field(default_factory=list)
    labels: list[Mapping[str, Any]] = field(default_factory=list)


def read_predictions(path: Path) -> Iterator[Batch]:
    """Of a CSV file with the columns `id`, `prediction`, `label` and `time`, of which empty fields tell nothing.
    `time` is that of the prediction; without a zone it is this machine's. Raises WrongUse with the line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as text:
            yield from _batches(path, csv.DictReader(text, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WrongUse(f"{path}: {error}") from error


def _batches(path: Path, rows: "csv.DictReader[str]") -> Iterator[Batch]:
    columns = rows.fieldnames or ()
    if unknown := [name for name in columns if name not in _COLUMNS]:
        raise WrongUse(f"{path}:1: unknown column {unknown[0]!r}: {_EXAMPLE}")
    if "id" not in columns or not {"prediction", "label"} & set(columns):
        raise WrongUse(f"{path}:1: no column id, and prediction or label: {_EXAMPLE}")
    batch = Batch()
    for row in rows:
        _add(batch, row, f"{path}:{rows.line_num}")
        if max(len(batch.predictions), len(batch.labels)) == AT_ONCE:
            yield batch
            batch = Batch()
    if batch.predictions or batch.labels:
        yield batch


def _add(batch: Batch, row: Mapping[str, Any], line: str) -> None:
    if None in row or not row["id"]:
        raise WrongUse(f"{line}: " + ("more fields than columns" if None in row else "no id"))
    if row.get("prediction"):
        told = {"id": row["id"], "value": _value(row["prediction"])}
        batch.predictions.append(told | ({"time": _time(row["time"], line)} if row.get("time") else {}))
    if row.get("label"):
        batch.labels.append({"id": row["id"], "value": _value(row["label"])})


def _value(text: str) -> object:
    """A number, true or false as JSON has them, else the text: the same in both columns, so that they can be equal."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, bool | int | float) and math.isfinite(found) else text


def _time(text: str, line: str) -> str:
    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except ValueError:
        raise WrongUse(f"{line}: {text!r} is no time: write 2026-12-01T08:00:00Z") from None
