"""CSV files as spreadsheets and statistics programs write them, and what is done with their columns."""

from pathlib import Path
from typing import Any

import pytest

from builders import make_spec, real, whole
from tuning_worker.exceptions import ObjectiveRejected
from tuning_worker.objectives.sklearn import SklearnModel

from .runs import make_run

R2 = {"name": "r2", "direction": "Maximize"}
RIDGE = {"class": "sklearn.linear_model.Ridge"}
ALPHA = real("alpha", 1e-3, 1)
ONE_HOT = {"class": "sklearn.preprocessing.OneHotEncoder", "args": {"handle_unknown": "ignore"}}
IMPUTER = {"class": "sklearn.impute.SimpleImputer"}
NUMBERS = {"select": {"dtype": "number"}, "steps": [IMPUTER]}
TEXTS = {"select": {"dtype": "category"}, "steps": [ONE_HOT]}


def text(
    separator: str = ",", decimal: str = ".", missing: str = "", city: str = "Koeln", extra: str = "", rows: int = 40
) -> str:
    """A price is twice the length, and more in one of two cities."""
    lines = [separator.join(["length", "city", *([extra] if extra else []), "price"])]
    for row in range(rows):
        length, there = row % 7 + 0.5, row % 2
        fields = [
            missing if row == 3 and missing else str(length).replace(".", decimal),
            city if there else "Ulm",
            *([f"row {row}"] if extra else []),
            str(2 * length + 5 * there).replace(".", decimal),
        ]
        lines.append(separator.join(fields))
    return "\n".join(lines) + "\n"


def load(path: Path, columns: list[Any] | None = None, **fields: Any) -> SklearnModel:
    parameters = fields.pop("parameters", [ALPHA])
    csv = {"path": str(path), "target": "price"} | fields
    sklearn = {"steps": [RIDGE], "dataset": {"csv": csv}, "columns": columns or [NUMBERS, TEXTS]}
    spec = make_spec(objective={"sklearn": sklearn}, metrics=[R2], parameters=parameters)
    assert spec.objective.sklearn is not None
    return SklearnModel.load(spec.objective.sklearn, spec, seed=1)


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (text().encode(), {}),
        (text(";", ",").encode(), {"separator": ";", "decimal": ","}),
        (text("\t").encode(), {"separator": "\t"}),
        (text("|").encode(), {"separator": "|"}),
        (text(city="Köln").encode("latin-1"), {"encoding": "latin-1"}),
        (text(city="Köln").encode("utf-16"), {"encoding": "utf-16"}),
        (text().encode("utf-8-sig"), {}),
        (text(missing="?").encode(), {"missing": ["?"]}),
        (text(missing="-999").encode(), {"missing": ["?", "-999"]}),
        (text(extra="id").encode(), {"index": "id"}),
    ],
)
def test_a_dialect_is_read(tmp_path: Path, content: bytes, fields: dict[str, Any]) -> None:
    (tmp_path / "table.csv").write_bytes(content)
    model = load(tmp_path / "table.csv", **fields)
    assert model(make_run(tmp_path, point={"alpha": 0.001}, parameters=[ALPHA], metrics=[R2]))["r2"] > 0.95


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"encoding": "klingon"}, r"dataset\.csv\.encoding: unknown encoding: klingon; utf-8, latin-1"),
        ({"index": "Length"}, r"has no column 'Length'; it has length, city, price; did you mean length\?"),
    ],
)
def test_a_wrong_dialect_says_what_to_write(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    (tmp_path / "table.csv").write_text(text())
    with pytest.raises(ObjectiveRejected, match=message):
        load(tmp_path / "table.csv", **fields)


@pytest.mark.parametrize(
    "columns",
    [
        [NUMBERS, TEXTS],
        [TEXTS],
        [{"select": {"names": ["city"]}, "steps": [ONE_HOT]}],
        [{"select": {"pattern": "^ci"}, "steps": [ONE_HOT]}],
        [TEXTS | {"name": "text"}, {"select": {"names": ["length"]}, "steps": [IMPUTER]}],
    ],
)
def test_columns_have_steps_of_their_own_and_others_pass(tmp_path: Path, columns: list[Any]) -> None:
    (tmp_path / "table.csv").write_text(text())
    model = load(tmp_path / "table.csv", columns)
    assert model(make_run(tmp_path, point={"alpha": 0.001}, parameters=[ALPHA], metrics=[R2]))["r2"] > 0.95


def test_a_step_of_columns_has_parameters(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(text())
    frequency = whole("columns__category__onehotencoder__min_frequency", 1, 30)
    model = load(tmp_path / "table.csv", parameters=[frequency])
    run = make_run(tmp_path, point={frequency["name"]: 1}, parameters=[frequency], metrics=[R2])
    assert model(run)["r2"] > 0.95


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ({"names": ["City"]}, r"columns\[0\]\.select\.names: the table has no column 'City'; did you mean city\?"),
        ({"pattern": "^x"}, r"columns\[0\]\.select: no column of the table is selected; it has length, city"),
        ({"pattern": "("}, r"columns\[0\]\.select\.pattern: '\(' is no regular expression"),
    ],
)
def test_columns_that_are_not_there_reject_the_study(tmp_path: Path, select: Any, message: str) -> None:
    (tmp_path / "table.csv").write_text(text())
    with pytest.raises(ObjectiveRejected, match=message):
        load(tmp_path / "table.csv", [{"select": select, "steps": [ONE_HOT]}])
