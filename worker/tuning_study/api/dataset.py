"""`spec.objective.sklearn.dataset`: where the rows come from, and what some of their columns are for."""

from pydantic import Field

from tuning_study.api.field_types import Text
from tuning_study.api.rules import Model, Rule


class Table(Model):
    """A table with one row per sample."""

    path: Text = Field(
        description="Path of the file in the worker: part of its image, or mounted with `workers.volumes`. Example: "
        "/data/train.csv."
    )
    target: Text = Field(
        description="The column to predict. All others are features, but for `groups`, `time` and "
        "`weights`. Example: label."
    )
    groups: Text | None = Field(
        None,
        description="A column that tells which rows belong together, such as those of one patient. No group is both "
        "fitted and scored on. If left out, every row stands alone. Example: patient.",
    )
    time: Text | None = Field(
        None,
        description="A column of dates or numbers that the rows are sorted by; models are then scored on later rows "
        "than those they are fitted on. If left out, the order of the rows says nothing. Example: date.",
    )
    weights: Text | None = Field(
        None,
        description="A column of numbers that tells how much each row counts, in fitting and in every metric that "
        "takes weights. If left out, all rows count alike. Example: weight.",
    )


class CsvTable(Table):
    """A CSV file with the column names in its first line."""

    separator: str | None = Field(
        None,
        min_length=1,
        max_length=1,
        description="The character between two fields. If left out, it is a comma. Example: ;.",
    )
    decimal: str | None = Field(
        None,
        min_length=1,
        max_length=1,
        description="The character before a number's decimals. If left out, it is a point. Example: ','.",
    )
    encoding: str | None = Field(
        None,
        min_length=1,
        max_length=32,
        description="How the text is encoded, by a name that Python knows. If left out, it is UTF-8. Example: latin-1.",
    )
    missing: list[Text] | None = Field(
        None,
        max_length=32,
        description="What stands for no value, besides an empty field and the usual NA, NaN and null. If left out, "
        'only these do. Example: ["?", "-999"].',
    )
    index: Text | None = Field(
        None,
        description="A column that only numbers or names the rows. It is no feature. If left out, there is none. "
        "Example: id.",
    )


class Dataset(Model):
    """The data to learn from: exactly one of load, csv and parquet."""

    load: str | None = Field(
        None,
        max_length=63,
        pattern=r"^[a-z_0-9]+$",
        description="A data set that comes with scikit-learn; digits is that of sklearn.datasets.load_digits. "
        "Example: digits.",
    )
    csv: CsvTable | None = Field(
        None,
        description="A CSV file with the column names in its first line. Example: {path: /data/train.csv, target: "
        "label}.",
    )
    parquet: Table | None = Field(
        None, description="A Parquet file. Example: {path: /data/train.parquet, target: label}."
    )

    rules = (
        Rule(
            "[has(self.load), has(self.csv), has(self.parquet)].filter(given, given).size() == 1",
            "give exactly one of load, csv and parquet",
            lambda d: sum(v is not None for v in (d.load, d.csv, d.parquet)) == 1,
        ),
    )

    @property
    def table(self) -> Table | None:
        """The file, where the data set is one."""
        return self.csv or self.parquet
