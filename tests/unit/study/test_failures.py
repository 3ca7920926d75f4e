"""Which failures are one."""

import pytest

from tuning_study.failures import FailureGroup, alike, grouped


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ValueError: x is 0.31", "ValueError: x is -2e-05", True),
        ("<Model at 0x7f00ab>", "<Model at 0x7f11cd>", True),
        ("no /data/run-17/a.csv", "no /data/run-3/a.csv", True),
        ("no /tmp/tmpab_xk/a.csv", "no /tmp/tmpzz9/a.csv", True),
        ("job 123e4567-e89b-12d3-a456-426614174000 is gone", "job 00000000-e89b-12d3-a456-aaaaaaaaaaaa is gone", True),
        ("layer d2a84f4b8b650937ec8f73cd8be2c74a", "layer 9f86d081884c7d659a2feaa0c55ad015", True),
        ("tried to allocate 20.00 MiB", "tried to allocate 1.5 GiB", True),
        ("ValueError: bad (train.py:17)", "ValueError: bad (train.py:18)", False),
        ("ValueError: bad 1 (train.py:17)", "ValueError: bad 2 (train.py:17)", True),
        ("KeyError: 'a'", "KeyError: 'b'", False),
        ("the deadbeef is bad", "the defaced is bad", False),
    ],
)
def test_reasons_that_differ_in_numbers_alone_are_one(one: str, other: str, same: bool) -> None:
    assert (alike(one) == alike(other)) is same


def test_the_most_frequent_group_comes_first_with_all_its_reasons() -> None:
    failures = [("KeyError: 'a'", 3), ("x is 1", 2), ("x is 2", 2)]
    assert grouped(failures) == [
        FailureGroup("x is 1", 4, ("x is 1", "x is 2")),
        FailureGroup("KeyError: 'a'", 3, ("KeyError: 'a'",)),
    ]
