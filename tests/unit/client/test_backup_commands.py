"""`tuning backup` and `tuning restore` as a person types them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tuning_cli.app import app
from tuning_client.exceptions import TuningError, WrongUse
from tuning_store import schema


def tuning(*arguments: str) -> str:
    ended = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert ended.exit_code == 0
    return ended.output


def test_a_store_is_saved_and_restored(tmp_path: Path) -> None:
    schema.create(f"sqlite:///{tmp_path}/one.sqlite")
    said = tuning("backup", f"{tmp_path}/file", "--storage", f"sqlite:///{tmp_path}/one.sqlite")
    assert said == f"{tmp_path}/file: 0 studies with 0 trials, of no namespace\n"
    assert tuning("restore", f"{tmp_path}/file", "--storage", f"sqlite:///{tmp_path}/two.sqlite").startswith("restored")


def test_what_is_refused_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TuningError, match="there is no file"):
        tuning("restore", "file", "--storage", "sqlite:///two.sqlite")
    with pytest.raises(TuningError, match="cannot be written"):
        tuning("backup", "no/such/folder", "--storage", "sqlite:///one.sqlite")
    with pytest.raises(WrongUse, match="no study has run in this folder"):
        tuning("backup", "file", "--local")
    with pytest.raises(WrongUse, match="not both"):
        tuning("rotate-credentials", "--all", "-n", "team")
