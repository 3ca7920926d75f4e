"""Until when a study is frozen, as a person writes it."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tuning_client.cluster.freezing import end_of_freeze
from tuning_client.exceptions import WrongUse

NOW = datetime(2026, 11, 26, 12, 0).astimezone()


@pytest.mark.parametrize(
    ("written", "end"),
    [
        (None, None),
        ("2h", NOW + timedelta(hours=2)),
        ("2026-11-27T08:00", datetime(2026, 11, 27, 8).astimezone()),
        ("2026-11-27T08:00+01:00", datetime(2026, 11, 27, 8, tzinfo=ZoneInfo("Etc/GMT-1"))),
        ("2026-11-27", datetime(2026, 11, 27).astimezone()),
    ],
)
def test_a_duration_or_a_time(written: str | None, end: datetime | None) -> None:
    assert end_of_freeze(written, NOW) == end


@pytest.mark.parametrize(
    ("written", "sentence"),
    [("soon", "'soon' is no time: write one such as 2h"), ("2026-11-26T11:00", "has passed; to end a freeze use")],
)
def test_what_is_no_end(written: str, sentence: str) -> None:
    with pytest.raises(WrongUse, match=sentence):
        end_of_freeze(written, NOW)
