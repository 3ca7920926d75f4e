"""What a worker is told by its environment."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from builders import make_round
from tuning_worker.exceptions import InvalidSettings
from tuning_worker.settings import from_environment


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "round.json"
    file.write_text(json.dumps(make_round().manifest()))
    return {"TUNING_ROUND_FILE": str(file), "TUNING_STORE_URL": "postgresql://u:secret@h/d", "TUNING_WORKER": "w-0"}


def test_the_round_the_store_and_the_name_are_enough(environment: dict[str, str]) -> None:
    settings = from_environment(environment)
    assert (settings.round, settings.worker) == (make_round(), "w-0")
    assert settings.code is None


def test_everything_else_may_be_given(environment: dict[str, str]) -> None:
    more = {
        "TUNING_GRACE_SECONDS": "2.5",
        "TUNING_HEARTBEAT_SECONDS": "1",
        "TUNING_SILENCE_SECONDS": "9",
        "TUNING_CODE_DIR": "/code",
        "TUNING_CHECKPOINT_ROOT": "/data",
    }
    settings = from_environment(environment | more)
    assert settings.grace == timedelta(seconds=2.5)
    assert (settings.heartbeat, settings.stale_after) == (timedelta(seconds=1), timedelta(seconds=9))
    assert (settings.code, settings.checkpoints) == (Path("/code"), Path("/data"))


@pytest.mark.parametrize("name", ["TUNING_ROUND_FILE", "TUNING_STORE_URL", "TUNING_WORKER"])
@pytest.mark.parametrize("value", [None, ""])
def test_what_is_missing_is_named(environment: dict[str, str], name: str, value: str | None) -> None:
    without = {key: text for key, text in environment.items() if key != name} | ({name: value} if value == "" else {})
    with pytest.raises(InvalidSettings, match=f"{name} is not set"):
        from_environment(without)


@pytest.mark.parametrize("seconds", ["ten", "nan", "inf", "1e99"])
def test_seconds_that_are_none_are_refused_by_name(environment: dict[str, str], seconds: str) -> None:
    with pytest.raises(InvalidSettings, match=r"TUNING_GRACE_SECONDS is .*; write a number of seconds"):
        from_environment(environment | {"TUNING_GRACE_SECONDS": seconds})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "x"}', '{"unknown": 1}'])
def test_a_file_that_is_no_round_is_refused_by_name(environment: dict[str, str], text: str) -> None:
    Path(environment["TUNING_ROUND_FILE"]).write_text(text)
    with pytest.raises(InvalidSettings, match=r"TUNING_ROUND_FILE .* is not a resolved round"):
        from_environment(environment)


def test_a_file_that_is_not_there_is_refused_by_name(environment: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="TUNING_ROUND_FILE"):
        from_environment(environment | {"TUNING_ROUND_FILE": str(tmp_path / "nothing")})


def test_the_password_is_in_no_log(environment: dict[str, str]) -> None:
    assert "secret" not in repr(from_environment(environment))
