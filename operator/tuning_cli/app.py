"""The program `tuning`, which is also `kubectl tuning`: its commands, and how it ends."""

import io
import logging
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import structlog
import typer

from tuning_cli.commands import (
    canary,
    change,
    compare,
    dashboard,
    explain,
    init,
    look,
    observe,
    promotion,
    reproduce,
    run,
    store,
    studies,
)
from tuning_client.exceptions import TuningError, WrongUse
from tuning_client.local.disk import full_disk_told
from tuning_report.format import visible

app = typer.Typer(
    name="tuning",
    help="Tunes hyperparameters with parallel workers that share one study, on this machine or on Kubernetes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_COMMANDS: Mapping[str, Sequence[Callable[..., None]]] = {
    "On this machine": (init.init, run.run, run.validate, run.recommend, compare.compare, explain.explain),
    "On this machine or a cluster": (
        studies.list_,
        studies.logs,
        studies.fit,
        reproduce.reproduce,
        studies.url,
        studies.delete,
    ),
    "Look": (
        look.status,
        look.watch,
        look.best,
        look.pareto,
        look.trials,
        look.diagnose,
        look.report,
        dashboard.dashboard,
    ),
    "Change a study on a cluster": (
        change.retune,
        change.freeze,
        change.unfreeze,
        observe.observe,
        promotion.promote,
        promotion.rollback,
        promotion.history,
        promotion.export,
        change.pause,
        change.resume,
        change.scale,
    ),
    "Look after the store": (store.rotate_credentials, store.backup, store.restore),
}
for _panel, _commands in _COMMANDS.items():
    for _command in _commands:
        app.command(_command.__name__.strip("_").replace("_", "-"), rich_help_panel=_panel)(_command)

app.add_typer(canary.app, name="canary", rich_help_panel="Change a study on a cluster")


def main() -> None:
    """The entry point of `tuning` and `kubectl tuning`."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a character shows a replacement, no traceback
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    _quiet_libraries()
    try:
        _check_folder()
        with full_disk_told(Path.cwd()):
            app()
    except TuningError as error:
        print(visible(f"error: {error}"), file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `tuning trials | head`
        sys.stderr.close()
        sys.exit(141)


def _quiet_libraries() -> None:
    """What is printed is for people and scripts: remarks of Optuna and others are for those who program with them."""
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore", message=".* is experimental ")
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def _check_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise WrongUse("the folder that this terminal is in is gone: change to another") from error


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"tuning {_version()}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    return


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("tuning-operator")
    except metadata.PackageNotFoundError:
        return "unknown (not installed)"


if __name__ == "__main__":
    main()
