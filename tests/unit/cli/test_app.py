import subprocess
import sys

from typer.testing import CliRunner

from tuning_cli.app import app

HEAVY = ("optuna", "aiohttp", "kubernetes", "pandas", "sqlalchemy", "pydantic", "sklearn", "numpy")


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    code = f"import sys, tuning_cli.app; print([name for name in {HEAVY!r} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_every_command_explains_itself() -> None:
    runner = CliRunner()
    names = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    assert {"run", "validate", "status", "watch", "trials", "best", "pareto", "report", "dashboard"} <= set(names)
    for name in names:
        told = runner.invoke(app, [name, "--help"])
        assert told.exit_code == 0
        assert "Usage" in told.output


def test_version_and_wrong_use() -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["--version"]).output.startswith("tuning ")
    assert runner.invoke(app, ["bogus"]).exit_code == 2
    assert runner.invoke(app, ["scale", "name", "0"]).exit_code == 2
    assert runner.invoke(app, ["run", "x.yaml", "--workers", "0"]).exit_code == 2
