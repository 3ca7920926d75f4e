"""An objective's error as its author reads it."""

import json

import pytest

from tuning_worker.failures import describe, describe_with_place, format_traceback


class Mute(Exception):
    def __str__(self) -> str:
        raise SystemExit


def raised(by: str, **names: object) -> Exception:
    """What a user's file of this text raises."""
    try:
        exec(compile(by, "/home/me/train.py", "exec"), dict(names))
    except Exception as error:
        return error
    raise AssertionError("it raised nothing")


def test_the_place_is_the_innermost_line_of_the_authors_own() -> None:
    error = raised("\nimport json\ndef load():\n    json.loads('{')\nload()\n")
    assert isinstance(error, json.JSONDecodeError)
    assert describe_with_place(error).endswith(" (train.py:4)")


def test_an_error_whose_text_cannot_be_shown() -> None:
    assert describe(Mute()) == "Mute, whose text cannot be shown"
    assert "Mute" in format_traceback(Mute())


def test_a_traceback_shows_the_frames_and_the_error() -> None:
    told = format_traceback(raised("def f():\n    raise KeyError('age')\nf()\n"))
    assert told.startswith('  File "')
    assert 'File "/home/me/train.py", line 2, in f' in told
    assert told.endswith("KeyError: 'age'")


def test_a_deep_traceback_keeps_its_outer_and_inner_frames() -> None:
    told = format_traceback(raised("def f(n):\n    return f(n - 1) if n else [][0]\nf(100)\n"))
    assert "frames more" in told
    assert told.count("train.py") < 12
    assert told.endswith("IndexError: list index out of range")


@pytest.mark.parametrize("length", [100_000])
def test_a_long_text_keeps_its_end(length: int) -> None:
    told = format_traceback(raised(f"raise ValueError('x' * {length} + 'the end')"))
    assert told.endswith("the end")
    assert len(told) < 7000
