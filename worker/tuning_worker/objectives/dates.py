"""Dates as numbers that a model can learn from. A fitted model's file refers to it, so it imports little."""

import re
from collections.abc import Mapping
from enum import StrEnum

import pandas

_TIME = r"(?:(?:T|\s+)(\d{1,2}):(\d\d)(.*?))?\s*"
ISO_DATE = r"\s*\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.*)?\s*"
"""A regular expression for texts that are dates: the one way of writing them that has one meaning."""
_YEAR_FIRST = re.compile(r"\s*(\d{4})([/.])(\d{1,2})\2(\d{1,2})" + _TIME)
_YEAR_LAST = re.compile(r"\s*(\d{1,2})([/.-])(\d{1,2})\2(\d{4})" + _TIME)
ANY_DATE = "|".join(f"(?:{pattern})" for pattern in (ISO_DATE, r"\s*\d{4}[/.]\d{1,2}[/.]\d{1,2}(?:[T ].*)?\s*"))
ANY_DATE += r"|(?:\s*\d{1,2}[/.-]\d{1,2}[/.-]\d{4}(?:[T ].*)?\s*)"
"""The same of all texts that may be dates."""


class Order(StrEnum):
    """How a column's dates are written."""

    ISO = "ISO"
    YEAR_FIRST = "year/month/day"
    DAY_FIRST = "day/month/year"
    MONTH_FIRST = "month/day/year"


def order_of(values: pandas.Series) -> tuple[Order, bool] | None:
    """How these texts are written, and whether they may be meant in another order too; None for what are no dates.

    With days up to 12 alone nothing tells days from months. Such dates are read day first, as most of the world
    writes them; who calls says so. Between dots the day is always first.
    """
    if values.empty or re.fullmatch(ANY_DATE, str(values.iloc[0])) is None:  # most columns are none
        return None
    texts = values.astype(str)
    if texts.str.fullmatch(ISO_DATE).all():
        return Order.ISO, False
    if texts.str.fullmatch(_YEAR_FIRST).all():
        return Order.YEAR_FIRST, False
    parts = texts.str.extract(rf"^{_YEAR_LAST.pattern}$")
    if parts[0].isna().any():
        return None
    first, second = parts[0].astype(int), parts[2].astype(int)
    if second.max() > 12:
        return (Order.MONTH_FIRST, False) if first.max() <= 12 else None
    return Order.DAY_FIRST, bool(first.max() <= 12 and (parts[1] != ".").any())


def iso_texts(column: pandas.Series, order: Order) -> pandas.Series:
    """Texts of that order as ISO writes them; all else as it is."""
    if order is Order.ISO or pandas.api.types.is_datetime64_any_dtype(column):
        return column
    pattern = _YEAR_FIRST if order is Order.YEAR_FIRST else _YEAR_LAST

    def rewritten(value: object) -> object:
        found = pattern.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            return value
        one, _, two, three, hour, minute, rest = found.groups()
        by_order = {
            Order.YEAR_FIRST: (one, two, three),
            Order.DAY_FIRST: (three, two, one),
            Order.MONTH_FIRST: (three, one, two),
        }
        year, month, day = by_order[order]
        time = f"T{int(hour):02}:{minute}{rest.strip()}" if hour else ""
        return f"{year}-{int(month):02}-{int(day):02}{time}"

    return column.astype(object).map(rewritten)


def date_parts(table: pandas.DataFrame, orders: Mapping[str, str] | None = None) -> pandas.DataFrame:
    """Of each column the days since 1970, the month, the day of the week (Monday is 0) and the hour, in UTC.

    `orders` are those of columns that ISO does not write. NaN where there is no date.
    """
    parts: dict[str, pandas.Series] = {}
    for name, column in table.items():
        written = iso_texts(column, Order((orders or {}).get(str(name), Order.ISO)))
        times = pandas.to_datetime(written, utc=True, errors="coerce", format="ISO8601")
        seconds = times.dt.tz_localize(None).to_numpy("datetime64[s]").astype("int64")  # nanoseconds end in 2262
        parts[f"{name} days"] = pandas.Series(seconds / 86_400, table.index).where(times.notna())
        parts[f"{name} month"] = times.dt.month
        parts[f"{name} weekday"] = times.dt.day_of_week
        parts[f"{name} hour"] = times.dt.hour
    return pandas.DataFrame(parts, index=table.index).astype(float)


def how_read(order: Order, ambiguous: bool) -> str:
    """For a person, after the columns' names; nothing of dates that have one meaning."""
    if order is Order.ISO:
        return ""
    doubt = "; no day is above 12, so months may be days: if so, write them as 2020-04-25" if ambiguous else ""
    return f", read as {order.value}{doubt}"
