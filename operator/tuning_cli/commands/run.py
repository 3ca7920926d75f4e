"""Commands that run or check a study on this machine. Heavy libraries are imported by the command that needs them."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuning_cli.options import Context, Output, make_target
from tuning_cli.output import Format, render
from tuning_client.exceptions import TuningError, WrongUse
from tuning_report.format import visible

if TYPE_CHECKING:
    from tuning_client.local.run import Outcome
    from tuning_client.studyfile import StudyFile
    from tuning_report.round_history import History


def run(
    file: Annotated[Path, typer.Argument(help="The study's manifest; - reads standard input.", metavar="FILE")],
    workers: Annotated[int | None, typer.Option(min=1, max=1000, help="By default spec.workers.replicas.")] = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="PostgreSQL, MySQL, SQLite or Redis instead of the PostgreSQL in .tuning."),
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="By default .tuning/NAME.html.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin a new round; earlier ones are kept.")] = False,
) -> None:
    """Run a study here: local worker processes and an embedded PostgreSQL.

    Started again, it goes on where it stopped; after a change of the manifest or of the objective's files it begins a
    new round. Ctrl-C lets running trials finish; a second one ends them.
    """
    from rich.console import Console

    from tuning_client import studyfile
    from tuning_client.display import display_for
    from tuning_client.local.start import start

    study = studyfile.read(file)
    _warn(study)
    display = display_for(Console())
    outcome, found = start(study, display=display, workers=workers, storage=storage, fresh=fresh)
    raise typer.Exit(_tell_outcome(outcome, found, report, f"tuning {shlex.join(sys.argv[1:])}"))


def validate(
    files: Annotated[
        list[Path], typer.Argument(help="Manifests of studies; - reads standard input.", metavar="FILE...")
    ],
) -> None:
    """Check manifests as the API server and the operator would, and warn of what is seldom wise."""
    from tuning_client import studyfile
    from tuning_study.search.scale_advice import suits

    failed = False
    for file in files:
        try:
            for study in studyfile.read_all(file):
                print(f"{file}: {study.name} is valid")
                if (scale := suits(study.spec)) is not None:
                    print(f"{file}: {scale}")
                _warn(study)
        except WrongUse as error:
            failed = True
            print(visible(str(error)), file=sys.stderr)
    raise typer.Exit(2 if failed else 0)


def recommend(
    file: Annotated[Path, typer.Argument(help="The study's manifest; - reads standard input.", metavar="FILE")],
    storage: Annotated[
        str | None, typer.Option(metavar="URL", help="The store with the earlier studies, instead of .tuning.")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Earlier studies of this namespace, instead of .tuning.")
    ] = None,
    context: Context = None,
    output: Output = Format.TABLE,
) -> None:
    """Show what earlier studies and the built-in portfolio would have a study try first, and why; runs nothing.

    The data of the study are read on this machine, also where earlier studies are a namespace's.
    """
    from tuning_client import recommendation, studyfile

    study = studyfile.read(file)
    here = storage is None and namespace is None and context is None
    found = recommendation.recommend(study, make_target(namespace, context, here, storage))
    print(render(output, found, "\n".join(recommendation.lines(study, found))))


def _warn(study: "StudyFile") -> None:
    for warning in study.warnings:
        print(visible(f"warning: {warning}"), file=sys.stderr)


def _tell_outcome(outcome: "Outcome", found: "History", report_file: Path | None, again: str) -> int:
    """Print how a local run ended, write its report, and give the exit code."""
    from tuning_client.local import database
    from tuning_client.local.run import Ending
    from tuning_report import text

    print(visible("\n".join(["", *text.lines(found), ""])))
    path = report_file or database.FOLDER / f"{found.resolved.name}.html"
    _write_report(found, path)
    if outcome.ending is Ending.WORKERS_CRASHED:
        print(visible("\n".join(["", "the last lines of the worker's log:", *(f"  {line}" for line in outcome.log)])))
        raise TuningError("the workers crash again and again, without finishing a trial; the logs are in .tuning/logs")
    if outcome.ending is Ending.STOPPED:
        print(f"stopped; `{again}` goes on from here")
        return 128 + (outcome.signal or 0)
    if (failure := text.failure(found)) is not None:
        raise TuningError(failure)
    return 0


def _write_report(found: "History", path: Path) -> None:
    from tuning_report import page

    try:
        page.write(found, path)
        print(f"report: {path}")
    except Exception as error:  # the results are safe in the store, and `tuning report` can be tried again
        print(f"the report could not be written: {type(error).__name__}: {error}", file=sys.stderr)
