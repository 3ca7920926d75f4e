"""Dates as numbers."""

import datetime

import pandas
import pytest

from tuning_worker.objectives.dates import Order, date_parts, iso_texts, order_of


@pytest.mark.parametrize(
    ("dates", "days", "month", "weekday", "hour"),
    [
        (["1970-01-02"], 1, 1, 4, 0),
        (["2024-02-29 06:00"], 19782.25, 2, 3, 6),
        (["2024-01-01T00:30:00+02:00"], 19722.9375, 12, 6, 22),
        ([datetime.date(1969, 12, 31)], -1, 12, 2, 0),
        (pandas.to_datetime(["2024-01-01"]).tz_localize("Europe/Berlin"), 19722 + 23 / 24, 12, 6, 23),
        (["9999-12-31"], 2932896, 12, 4, 0),
    ],
)
def test_a_date_is_four_numbers(dates: object, days: float, month: int, weekday: int, hour: int) -> None:
    parts = date_parts(pandas.DataFrame({"at": dates}))
    assert list(parts.columns) == ["at days", "at month", "at weekday", "at hour"]
    assert parts.iloc[0].tolist() == pytest.approx([days, month, weekday, hour])


def test_no_date_is_no_number() -> None:
    assert date_parts(pandas.DataFrame({"at": ["2024-01-01", None, "soon"]})).isna().all(axis=1).tolist() == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("texts", "order", "ambiguous", "iso"),
    [
        (["25/04/2020", "1/5/2020"], Order.DAY_FIRST, False, ["2020-04-25", "2020-05-01"]),
        (
            ["25-04-2020 8:05", "01-05-2020 17:00:30"],
            Order.DAY_FIRST,
            False,
            ["2020-04-25T08:05", "2020-05-01T17:00:30"],
        ),
        (["04/25/2020", "05/01/2020"], Order.MONTH_FIRST, False, ["2020-04-25", "2020-05-01"]),
        (["01.05.2020", "02.06.2020"], Order.DAY_FIRST, False, ["2020-05-01", "2020-06-02"]),
        (["01/05/2020", "02/06/2020"], Order.DAY_FIRST, True, ["2020-05-01", "2020-06-02"]),
        (["2020/04/25", "2020/5/1"], Order.YEAR_FIRST, False, ["2020-04-25", "2020-05-01"]),
        (["2020-04-25", "2020-05-01"], Order.ISO, False, ["2020-04-25", "2020-05-01"]),
    ],
)
def test_a_column_tells_the_order_of_its_dates(texts: list[str], order: Order, ambiguous: bool, iso: list[str]) -> None:
    column = pandas.Series(texts)
    assert order_of(column) == (order, ambiguous)
    assert iso_texts(column, order).tolist() == iso
    assert date_parts(column.to_frame("at"), {"at": order}).notna().all(axis=None)


@pytest.mark.parametrize("texts", [["25/04/2020", "04/25/2020"], ["25/04/2020", "soon"], ["1/2/3"]])
def test_what_is_in_no_one_order_is_no_date(texts: list[str]) -> None:
    assert order_of(pandas.Series(texts)) is None
