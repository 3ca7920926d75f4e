"""The commands and their options, nothing more. Heavy libraries are imported by the command that needs them."""

import io
import json
import shlex
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from tuning_cli.exceptions import ClusterError, CommandError, WrongUse
from tuning_cli.output import Format, render, table, visible

if TYPE_CHECKING:
    from tuning_cli.history import History
    from tuning_cli.local import Outcome
    from tuning_cli.source import Where
    from tuning_cli.studyfile import StudyFile
    from tuning_store.backup import Contents
    from tuning_store.storage import Store

_RETUNE_WAIT = 15.0  # seconds for the operator to answer

app = typer.Typer(
    name="tuning",
    help="Tunes hyperparameters with parallel workers that share one study, on this machine or on Kubernetes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[str, typer.Argument(help="The study's name.")]
AnyName = Annotated[str | None, typer.Argument(help="The study's name; may be left out where there is only one.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="By default that of the context.")]
Context = Annotated[str | None, typer.Option("--context", help="Of the kubeconfig; by default the current one.")]
Local = Annotated[bool, typer.Option("--local", help="A study of `tuning run` in this folder, not of a cluster.")]
Storage = Annotated[str | None, typer.Option("--storage", metavar="URL", help="Like --local, in the store at URL.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="How to print.")]


def main() -> None:
    """The entry point of `tuning` and `kubectl tuning`."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a character shows a replacement, no traceback
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        _check_folder()
        app()
    except CommandError as error:
        print(visible(f"error: {error}"), file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `tuning trials | head`
        sys.stderr.close()
        sys.exit(141)


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


@app.command(rich_help_panel="On this machine")
def run(
    file: Annotated[Path, typer.Argument(help="The study's manifest; - reads standard input.", metavar="FILE")],
    workers: Annotated[int | None, typer.Option(min=1, max=1000, help="By default spec.workers.replicas.")] = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="PostgreSQL, MySQL, SQLite or Redis instead of the PostgreSQL in .tuning."),
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="By default .tuning/NAME.html.")] = None,
) -> None:
    """Run a study here: local worker processes and an embedded PostgreSQL.

    Started again, it goes on where it stopped. Ctrl-C lets running trials finish; a second one ends them.
    """
    from rich.console import Console

    from tuning_cli import local, studyfile
    from tuning_cli.display import display_for

    def tell(outcome: "Outcome", store: "Store") -> int:
        return _tell_outcome(outcome, store, report, f"tuning {shlex.join(sys.argv[1:])}")

    study = studyfile.read(file)
    _warn(study)
    display = display_for(Console())
    raise typer.Exit(local.start(study, display=display, workers=workers, storage=storage, then=tell))


@app.command(rich_help_panel="On this machine")
def validate(
    files: Annotated[
        list[Path], typer.Argument(help="Manifests of studies; - reads standard input.", metavar="FILE...")
    ],
) -> None:
    """Check manifests as the API server and the operator would, and warn of what is seldom wise."""
    from tuning_cli import studyfile

    failed = False
    for file in files:
        try:
            for study in studyfile.read_all(file):
                print(f"{file}: {study.name} is valid")
                _warn(study)
        except WrongUse as error:
            failed = True
            print(visible(str(error)), file=sys.stderr)
    raise typer.Exit(2 if failed else 0)


@app.command(rich_help_panel="Look")
def status(
    name: Annotated[str | None, typer.Argument(help="One study in detail; without it a table of all.")] = None,
    namespace: Namespace = None,
    context: Context = None,
    local: Local = False,
    storage: Storage = None,
    output: Output = Format.TABLE,
) -> None:
    """Show all studies, or one with its conditions and last events."""
    where = _where(namespace, context, local, storage)
    if where.on_cluster:
        _status_on_cluster(where, name, output)
        return
    from tuning_cli import history, source, summary

    if name is not None:
        found = source.read(where, name)
        print(render(output, _overview(found), "\n".join(summary.lines(found))))
        return
    with source.local_store(where) as store:
        rows = [
            {
                "name": name,
                "state": summary.state(standing.over, standing.limits.paused),
                "trials": f"{standing.counts.used}/{standing.limits.trials or '∞'}",
                "failed": standing.counts.failed,
                "workers": len(standing.shares),
                "started": f"{standing.started_at:%Y-%m-%d %H:%M} UTC",
            }
            for name, standing in history.local_studies(store).items()
        ]
    print(render(output, rows, table(rows) if rows else "no studies"))


@app.command(rich_help_panel="Look")
def watch(name: Name, namespace: Namespace = None, context: Context = None) -> None:
    """Follow a study on a cluster until it is complete (exit 0) or failed (exit 1)."""
    from rich.console import Console

    from tuning_cli import cluster, remote
    from tuning_cli.display import display_for
    from tuning_cli.snapshot import Pace

    pace = Pace()
    state, study = "", {}
    with display_for(Console()) as display:
        for study in cluster.connect(context, namespace).follow(name):
            snapshot = remote.snapshot(study, pace, datetime.now(UTC))
            display.update(snapshot)
            state = snapshot.state
            if state in remote.FINISHED:
                break
    print(visible(remote.details(study, [], datetime.now(UTC))))
    if remote.FINISHED[state]:
        raise CommandError(remote.failure(remote.status_of(study)))


@app.command(rich_help_panel="Look")
def best(
    name: AnyName = None,
    namespace: Namespace = None,
    context: Context = None,
    local: Local = False,
    storage: Storage = None,
    output: Output = Format.TABLE,
) -> None:
    """Show the best trial and its parameters."""
    where = _where(namespace, context, local, storage)
    if where.on_cluster:
        from tuning_cli import cluster, remote

        if name is None:
            raise WrongUse("give the study's name; `tuning status` lists them")
        found = remote.status_of(cluster.connect(context, namespace).study(name)).best
        if found is None:
            raise CommandError(f"{name} has no complete trial yet")
        print(render(output, found.manifest(), "\n".join(remote.best_lines(found))))
        return
    from tuning_cli import history, source, summary

    standing = source.read(where, name)
    if standing.best is None:
        raise CommandError(f"{standing.resolved.name} has no complete trial yet")
    (row,) = history.rows(standing, [standing.best])
    print(render(output, row, "\n".join(summary.best_lines(standing)).strip()))


@app.command(rich_help_panel="Look")
def pareto(
    name: AnyName = None,
    namespace: Namespace = None,
    context: Context = None,
    local: Local = False,
    storage: Storage = None,
    output: Output = Format.TABLE,
) -> None:
    """Show the trials that no other trial beats in every objective."""
    from tuning_cli import history, source, summary

    found = source.read(_where(namespace, context, local, storage), name)
    print(render(output, history.rows(found, found.front), "\n".join(summary.pareto_lines(found))))


@app.command(rich_help_panel="Look")
def trials(
    name: AnyName = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only this many of the newest.")] = None,
    namespace: Namespace = None,
    context: Context = None,
    local: Local = False,
    storage: Storage = None,
    output: Output = Format.TABLE,
) -> None:
    """List the trials, the newest last."""
    from tuning_cli import history, source

    found = source.read(_where(namespace, context, local, storage), name)
    rows = history.rows(found, found.trials[-limit:] if limit else found.trials)
    print(render(output, rows, table(history.table_rows(found, rows)) if rows else "no trials"))


@app.command(rich_help_panel="Look")
def report(
    name: AnyName = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="By default NAME.html.")] = None,
    namespace: Namespace = None,
    context: Context = None,
    local: Local = False,
    storage: Storage = None,
) -> None:
    """Write a report with plots as one HTML file."""
    from tuning_cli import report, source

    found = source.read(_where(namespace, context, local, storage), name)
    path = file or Path(f"{found.resolved.name}.html")
    report.write(found, path)
    print(path)


@app.command(rich_help_panel="Change a study on a cluster")
def retune(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why; it is kept with the round.")],
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Ask for a new round, and tell what the operator decided."""
    from tuning_cli import cluster, remote
    from tuning_operator.names import RETUNE_ANNOTATION

    connection, token = cluster.connect(context, namespace), f"cli-{uuid4().hex[:12]}"
    before = remote.status_of(connection.study(name))
    request = json.dumps({"token": token, "reason": reason})
    connection.change(name, {"metadata": {"annotations": {RETUNE_ANNOTATION: request}}})
    until = time.monotonic() + _RETUNE_WAIT
    while time.monotonic() < until:
        after = remote.status_of(connection.study(name))
        if after.retune.last_handled == token:
            taken, sentence = remote.decision(before, after)
            if not taken:
                raise CommandError(sentence)
            print(sentence)
            return
        time.sleep(0.3)
    raise ClusterError(
        f"asked, and not answered within {_RETUNE_WAIT:.0f}s: is the operator running? "
        f"The request stays; `tuning status {name}` shows the answer"
    )


@app.command(rich_help_panel="Change a study on a cluster")
def pause(name: Name, namespace: Namespace = None, context: Context = None) -> None:
    """Suspend a study: its workers end, its trials are kept."""
    _change(name, namespace, context, {"suspend": True}, "is paused; go on with `tuning resume`")


@app.command(rich_help_panel="Change a study on a cluster")
def resume(name: Name, namespace: Namespace = None, context: Context = None) -> None:
    """Go on with a suspended study."""
    _change(name, namespace, context, {"suspend": False}, "goes on")


@app.command(rich_help_panel="Change a study on a cluster")
def scale(
    name: Name,
    replicas: Annotated[int, typer.Argument(min=1, max=1000, help="How many workers.")],
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Change how many workers a study has."""
    _change(name, namespace, context, {"workers": {"replicas": replicas}}, f"gets {replicas} workers")


@app.command("rotate-credentials", rich_help_panel="Look after the store")
def rotate_credentials(
    everywhere: Annotated[bool, typer.Option("--all", help="Every namespace that has a login.")] = False,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Give a namespace's login to the store a new password; workers that run go on, and take it up by themselves."""
    from tuning_cli import cluster, credentials

    if everywhere and namespace:
        raise WrongUse("give --all or --namespace, not both")
    refused = False
    for place, problem in credentials.rotate(cluster.connect(context, namespace), everywhere=everywhere):
        refused = refused or bool(problem)
        print(f"{place}: {problem or 'a new password is in its Secret'}")
    if refused:
        raise CommandError("not every password could be changed")


@app.command(rich_help_panel="Look after the store")
def backup(
    file: Annotated[Path, typer.Argument(help="Where to write it; replaced once the new one is whole.")],
    namespace: Namespace = None,
    context: Context = None,
    local: Local = False,
    storage: Storage = None,
) -> None:
    """Write studies with all their trials to one file.

    Those of a namespace, with its login. With the database administrator's URL as --storage, those of all namespaces,
    or of the one that --namespace names.
    """
    from tuning_cli import copies

    found = copies.backup(file, _store(namespace, context, local, storage), namespace if storage else None)
    print(f"{file}: {_contents(found)}")


@app.command(rich_help_panel="Look after the store")
def restore(
    file: Annotated[Path, typer.Argument(help="What `tuning backup` wrote.")],
    namespace: Namespace = None,
    context: Context = None,
    local: Local = False,
    storage: Storage = None,
) -> None:
    """Put the studies of a backup into a store that does not have them: all, or none.

    A file of several namespaces needs the database administrator's URL as --storage.
    """
    from tuning_cli import copies

    print(f"restored {_contents(copies.restore(file, _where(namespace, context, local, storage)))}")


def _warn(study: "StudyFile") -> None:
    for warning in study.warnings:
        print(visible(f"warning: {warning}"), file=sys.stderr)


def _store(namespace: str | None, context: str | None, local: bool, storage: str | None) -> "Where":
    """Of a store behind a URL, --namespace chooses a part."""
    return _where(None if storage else namespace, context, local, storage)


def _contents(found: "Contents") -> str:
    names = sorted({study.partition("/")[0] for study in found.studies})
    return f"{len(found.studies)} studies with {found.trials} trials, of {', '.join(names) or 'no namespace'}"


def _change(name: str, namespace: str | None, context: str | None, spec: dict[str, Any], outcome: str) -> None:
    from tuning_cli import cluster

    cluster.connect(context, namespace).change(name, {"spec": spec})
    print(f"{name} {outcome}")


def _status_on_cluster(where: "Where", name: str | None, output: Format) -> None:
    from tuning_cli import cluster, remote

    connection, now = cluster.connect(where.context, where.namespace), datetime.now(UTC)
    if name is None:
        studies = connection.studies()
        rows = [remote.row(study, now) for study in studies]
        nothing = f"no studies in namespace {connection.namespace}"
        print(render(output, rows, table(rows) if rows else nothing))
        return
    study = connection.study(name)
    shown = remote.details(study, connection.events(study["metadata"]["uid"]), now) if output is Format.TABLE else ""
    print(render(output, {"name": name, **(study.get("status") or {})}, shown))


def _overview(found: "History") -> dict[str, Any]:
    from tuning_cli import history, summary

    counts, best = found.progress.counts, found.best
    return {
        "name": found.resolved.name,
        "state": summary.state(found.progress.over, found.progress.limits.paused),
        "reason": found.progress.over.value if found.progress.over else None,
        "study": found.resolved.study,
        "trials": {"target": found.progress.limits.trials, **vars(counts)},
        "workers": {worker: vars(share) for worker, share in found.progress.shares.items()},
        "best": history.rows(found, [best])[0] if best else None,
        "failures": [{"reason": reason, "count": count} for reason, count in found.failures],
    }


def _tell_outcome(outcome: "Outcome", store: "Store", report_file: Path | None, again: str) -> int:
    """Print how a local run ended, write its report, and give the exit code."""
    from tuning_cli import database, history, summary
    from tuning_cli.local import Ending
    from tuning_study.budget import SUCCESSES

    found = history.read(store, outcome.study)
    print(visible("\n".join(["", *summary.lines(found), ""])))
    path = report_file or database.FOLDER / f"{found.resolved.name}.html"
    _write_report(found, path)
    if outcome.ending is Ending.HOPELESS:
        print(visible("\n".join(["", "the last lines of the worker's log:", *(f"  {line}" for line in outcome.log)])))
        raise CommandError("the workers crash again and again, without finishing a trial; the logs are in .tuning/logs")
    if outcome.ending is Ending.STOPPED:
        print(f"stopped; `{again}` goes on from here")
        return 128 + (outcome.signal or 0)
    over = found.progress.over
    if over not in SUCCESSES:
        raise CommandError(summary.failure(found))
    if found.best is None:
        raise CommandError("the study failed: its budget is used, and no trial is complete")
    return 0


def _write_report(found: "History", path: Path) -> None:
    from tuning_cli import report

    try:
        report.write(found, path)
        print(f"report: {path}")
    except Exception as error:  # the results are safe in the store, and `tuning report` can be tried again
        print(f"the report could not be written: {type(error).__name__}: {error}", file=sys.stderr)


def _where(namespace: str | None, context: str | None, local: bool, storage: str | None) -> "Where":
    from tuning_cli.source import Where

    where = Where(namespace, context, local, storage)
    if not where.on_cluster and (namespace or context):
        raise WrongUse("--namespace and --context are for clusters, --local and --storage for this machine")
    return where


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("tuning-operator")
    except metadata.PackageNotFoundError:
        return "unknown (not installed)"


if __name__ == "__main__":
    main()
