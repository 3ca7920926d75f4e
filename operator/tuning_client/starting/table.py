"""Looks at a table: what `tuning init` can tell of it, and how its file has to be read. Called by init alone."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuning_client.exceptions import TuningError, WrongUse
from tuning_client.starting.families import Kind
from tuning_study.problems import did_you_mean

if TYPE_CHECKING:
    import pandas

_SEPARATORS = (",", ";", "\t", "|")
_MARKS = {"?", "-", "--", "*", ".", "unknown", "missing", "none"}
_DECIMAL_COMMA = r"\s*[-+]?\d+(?:,\d+)?\s*"
_DATE = r"\s*\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.*)?\s*"
_NUMBERS_ROWS = re.compile(r"(?:row_?|record_?)?(?:id|index|number|no|nr)", re.IGNORECASE)
_FEW = 10  # different whole numbers are classes, if each has some rows
_ROWS_OF_A_CLASS = 5


@dataclass(frozen=True)
class Table:
    """A file, and what is in it."""

    path: Path
    target: str
    options: Mapping[str, Any]
    """How it has to be read, as `dataset.csv` has it."""
    rows: int
    columns: int
    """Features."""
    texts: Sequence[str]
    dates: Sequence[str]
    gaps: Mapping[str, float]
    """Share of the rows in which a column has no value."""
    time: str | None
    """A column of dates by which the rows are sorted."""
    target_numbers: bool
    target_fractions: bool
    different: int
    """Values of the target."""
    classes: Sequence[tuple[str, int]]
    """Each with its rows, the largest first."""
    spread: float
    """Of a target of positive numbers: the largest divided by the median; else 1."""

    @property
    def is_csv(self) -> bool:
        return _is_csv(self.path)

    @property
    def smallest(self) -> int:
        """Rows of the smallest class."""
        return self.classes[-1][1]

    @property
    def kind(self) -> Kind:
        """What its target suggests: text, truth values and few whole numbers are classes."""
        if not self.target_numbers:
            return "classifier"
        few = self.different <= _FEW and self.rows >= _ROWS_OF_A_CLASS * self.different
        return "classifier" if few and not self.target_fractions else "regressor"


def look(path: Path, target: str) -> Table:
    """Raises WrongUse for a file that cannot be read, or has no such target, or rows without one."""
    try:
        import numpy
        import pandas
        from pandas.api.types import is_numeric_dtype
    except ImportError as error:
        raise TuningError("--data needs pandas: pip install 'tuning-operator[local]'") from error
    if not path.is_file():
        raise WrongUse(f"--data: {path}: {'is a folder' if path.is_dir() else 'no such file'}")
    try:
        frame, options = _read_csv(path) if _is_csv(path) else (pandas.read_parquet(path), {})
    except Exception as error:
        raise WrongUse(f"--data: {path} cannot be read: {str(error).strip().splitlines()[0]}") from error
    names = [str(name) for name in frame.columns]
    if target not in names:
        raise WrongUse(f"--target: {path} has no column {target!r}: {did_you_mean(target, names)}")
    truth = frame[target]
    if len(frame) == 0:
        raise WrongUse(f"--data: {path} has no rows")
    if truth.isna().any():
        raise WrongUse(f"--target: {target!r} has no value in {truth.isna().sum()} of {len(frame)} rows: remove these")
    if truth.nunique() == 1:
        raise WrongUse(f"--target: {target!r} is {truth.iloc[0]!s} in every row: there is nothing to learn")
    if is_numeric_dtype(truth) and not numpy.isfinite(truth.astype(float)).all():
        raise WrongUse(f"--target: {target!r} is infinite in some rows: correct or remove these")
    features = frame.drop(columns=[target])
    index = _index(features) if _is_csv(path) else None
    if index is not None:
        options, features = {**options, "index": index}, features.drop(columns=[index])
    if features.shape[1] == 0:
        raise WrongUse(f"--data: {path} has no column besides the target")
    found = _described(path, target, options, features, truth)
    if found.columns == 1 and found.time is not None:
        raise WrongUse(f"--data: {path} has no column besides the target and {found.time!r}, the order of its rows")
    return found


def _described(
    path: Path, target: str, options: Mapping[str, Any], features: "pandas.DataFrame", truth: "pandas.Series"
) -> Table:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    dates = [str(name) for name, column in features.items() if _is_date(column)]
    numbers = [str(name) for name, column in features.items() if is_numeric_dtype(column)]
    missing = features.isna().mean()
    numeric = bool(is_numeric_dtype(truth) and not is_bool_dtype(truth))
    counts = truth.value_counts()
    positive = numeric and bool((truth > 0).all())
    return Table(
        path,
        target,
        options,
        rows=len(features),
        columns=features.shape[1],
        texts=[str(name) for name in features.columns if str(name) not in (*dates, *numbers)],
        dates=dates,
        gaps={str(name): float(share) for name, share in missing.items() if share > 0},
        time=next((name for name in dates if _in_order(features[name])), None),
        target_numbers=numeric,
        target_fractions=numeric and bool((truth % 1 != 0).any()),
        different=int(truth.nunique()),
        classes=[(str(value), int(count)) for value, count in counts.items()],
        spread=float(truth.max() / truth.median()) if positive else 1.0,
    )


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() not in (".parquet", ".pq")


def _read_csv(path: Path) -> tuple["pandas.DataFrame", dict[str, Any]]:
    """The table, and the options that reading it takes."""
    import pandas

    options: dict[str, Any] = {}
    raw = path.read_bytes()
    try:
        header = raw.decode("utf-8-sig").partition("\n")[0]
    except UnicodeDecodeError:
        options["encoding"], header = "latin-1", raw.decode("latin-1").partition("\n")[0]
    separator = max(_SEPARATORS, key=header.count)
    if separator != ",":
        options["separator"] = separator

    def read() -> "pandas.DataFrame":
        return pandas.read_csv(
            path,
            sep=separator,
            encoding=options.get("encoding", "utf-8"),
            decimal=options.get("decimal", "."),
            na_values=options.get("missing"),
            low_memory=False,
        )

    frame = read()
    found = _marks(frame)
    if found:
        options["missing"] = found
        frame = read()
    if separator != "," and any(_has_decimal_commas(column) for _, column in frame.items()):
        options["decimal"] = ","
        frame = read()
    return frame, options


def _texts(column: "pandas.Series") -> "pandas.Series":
    """The column's texts; nothing of a column of something else."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    plain = is_numeric_dtype(column) or is_bool_dtype(column)
    return column.dropna().astype(str)[: 0 if plain else None]


def _marks(frame: "pandas.DataFrame") -> list[str]:
    """What stands for no value in columns that hold numbers otherwise."""
    found: set[str] = set()
    for _, column in frame.items():
        texts = _texts(column)
        others = texts[~texts.str.fullmatch(r"\s*[-+]?[\d.,]+(?:[eE][-+]?\d+)?\s*")]
        marks = {text.strip() for text in others.unique()[:4]}
        if len(others) < len(texts) / 2 and marks and {mark.lower() for mark in marks} <= _MARKS:
            found |= marks
    return sorted(found)


def _has_decimal_commas(column: "pandas.Series") -> bool:
    texts = _texts(column)
    return bool(len(texts) and texts.str.fullmatch(_DECIMAL_COMMA).all() and texts.str.contains(",").any())


def _index(features: "pandas.DataFrame") -> str | None:
    """A column that only numbers the rows, by its name and its values."""
    from pandas.api.types import is_integer_dtype

    for name, column in features.items():
        if _NUMBERS_ROWS.fullmatch(str(name)) and is_integer_dtype(column) and column.is_unique:
            return str(name)
    return None


def _is_date(column: "pandas.Series") -> bool:
    from pandas.api.types import is_datetime64_any_dtype

    texts = _texts(column)
    return bool(is_datetime64_any_dtype(column) or (len(texts) and texts.str.fullmatch(_DATE).all()))


def _in_order(dates: "pandas.Series") -> bool:
    """Whether the rows were written as time went by: later ones lower, and no few dates in blocks."""
    known = dates.dropna()
    return bool(len(known) == len(dates) and known.is_monotonic_increasing and known.nunique() > len(known) / 2)
