"""Commands that look at studies, on a cluster or on this machine, and change nothing."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuning_cli.options import AnyName, Context, Local, Name, Namespace, Output, Round, Storage, make_target
from tuning_cli.output import BestFormat, Format, render, render_best
from tuning_client.exceptions import TuningError, WrongUse
from tuning_report.format import count_text, key_values, table, visible


class Purpose(StrEnum):
    """What the best is wanted for."""

    PRODUCTION = "production"


BestOutput = Annotated[BestFormat, typer.Option("--output", "-o", help="How to print; python and env can be pasted.")]

if TYPE_CHECKING:
    from tuning_client.target import Target


def status(
    name: Annotated[str | None, typer.Argument(help="One study in detail; without it a table of all.")] = None,
    namespace: Namespace = None,
    context: Context = None,
    local: Local = False,
    storage: Storage = None,
    output: Output = Format.TABLE,
) -> None:
    """Show all studies, or one with its conditions and last events."""
    chosen = make_target(namespace, context, local, storage)
    if chosen.on_cluster:
        _status_on_cluster(chosen, name, output)
        return
    from tuning_client import histories, overview
    from tuning_report import text

    if name is not None:
        found = histories.read(chosen, name)
        print(render(output, overview.told_of_history(found), "\n".join(text.lines(found))))
        return
    now = datetime.now(UTC)
    rows = [overview.row_of_history(study, now) for study in histories.histories(chosen)]
    print(render(output, rows, table(rows) if rows else "no studies"))


def watch(name: Name, namespace: Namespace = None, context: Context = None) -> None:
    """Follow a study on a cluster until it is complete (exit 0) or failed (exit 1)."""
    from rich.console import Console

    from tuning_client.cluster import client, views, watching
    from tuning_client.display import display_for

    study = watching.until_over(client.connect(context, namespace), name, display_for(Console()))
    print(visible(views.details(study, [], datetime.now(UTC))))
    watching.raise_if_failed(study)


def best(
    name: AnyName = None,
    purpose: Annotated[
        Purpose | None, typer.Option("--for", help="production: what is there now, which the best may not be.")
    ] = None,
    round: Round = None,
    namespace: Namespace = None,
    context: Context = None,
    local: Local = False,
    storage: Storage = None,
    output: BestOutput = BestFormat.TABLE,
) -> None:
    """Show the best trial and its parameters."""
    from tuning_client import overview

    chosen = make_target(namespace, context, local, storage)
    if purpose is not None:
        _best_in_production(chosen, name, output)
        return
    if chosen.on_cluster:
        from tuning_client.cluster import client, views

        if name is None:
            raise WrongUse("give the study's name; `tuning status` lists them")
        status = views.status_of(client.connect(context, namespace).study(name))
        if status.best is None and status.trials.complete:  # the store has the trial that comes nearest
            from tuning_client import histories
            from tuning_report import text

            raise TuningError(f"{name}: {text.why_no_best(histories.read(chosen, name))}")
        if status.best is None:
            raise TuningError(f"{name}: no trial is complete")
        told = "\n".join(views.best_lines(name, status.best, status.pareto))
        print(render_best(output, overview.best_of_status(status.best), told))
        return
    from tuning_client import histories
    from tuning_report import text

    standing = histories.read(chosen, name, round)
    best = overview.best_of_history(standing)
    if best is None:
        raise TuningError(f"{standing.resolved.name}: {text.why_no_best(standing)}")
    front = ["", *text.pareto_lines(standing, limit=10)] if text.no_single_best(standing) else []
    told = "\n".join([*text.best_lines(standing), *front, *text.other_rounds_lines(standing)]).strip()
    print(render_best(output, best, told))


def _best_in_production(chosen: "Target", name: str | None, output: BestFormat) -> None:
    from tuning_client.cluster import client, exporting

    if not chosen.on_cluster:
        raise WrongUse("--for production: only a study on a cluster has something in production; leave --local out")
    if name is None:
        raise WrongUse("give the study's name; `tuning status` lists them")
    found = exporting.in_production(client.connect(chosen.context, chosen.namespace), name)
    told = [
        f"in production: trial {found['trial']} of round {found['round']}",
        *key_values(found["metrics"]),
        "parameters",
        *key_values(found["parameters"]),
    ]
    print(render_best(output, found, "\n".join(told)))


def pareto(
    name: AnyName = None,
    choose: Annotated[
        str | None,
        typer.Option(
            help="Try a selection, and change nothing: knee, weighted:accuracy=1,size=0.2, lexicographic:accuracy~1%,"
            "size (within 1 % of the best accuracy the smallest) or aspiration:accuracy=0.95,latencyMs=20."
        ),
    ] = None,
    round: Round = None,
    namespace: Namespace = None,
    context: Context = None,
    local: Local = False,
    storage: Storage = None,
    output: Output = Format.TABLE,
) -> None:
    """Show the trials that no other trial beats in every objective."""
    from tuning_client import histories
    from tuning_report import round_history, text

    found = histories.read(make_target(namespace, context, local, storage), name, round)
    if choose is not None:
        from tuning_client import overview, selection_text

        tried = round_history.choosing_by(found, selection_text.parse(choose, found.resolved.spec))
        if tried.best is None:
            raise TuningError(f"{found.resolved.name}: {text.why_no_best(tried)}")
        print(render(output, overview.best_of_history(tried), "\n".join(text.best_lines(tried)).strip()))
        return
    print(render(output, round_history.rows(found, found.front), "\n".join(text.pareto_lines(found))))


def trials(
    name: AnyName = None,
    trial: Annotated[int | None, typer.Option(min=0, help="Only this one, in full.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only this many of the newest.")] = None,
    round: Round = None,
    namespace: Namespace = None,
    context: Context = None,
    local: Local = False,
    storage: Storage = None,
    output: Output = Format.TABLE,
) -> None:
    """List the trials, the newest last; or show one with its reports and its traceback."""
    from tuning_client import histories
    from tuning_report import round_history, text

    found = histories.read(make_target(namespace, context, local, storage), name, round)
    if trial is not None:
        if trial >= len(found.trials):
            raise WrongUse(f"there is no trial {trial}: {found.resolved.name} has {len(found.trials)}, from 0 on")
        print(render(output, round_history.details(found, trial), "\n".join(text.trial_lines(found, trial))))
        return
    rows = round_history.rows(found, found.trials[-limit:] if limit else found.trials)
    print(render(output, rows, table(round_history.table_rows(found, rows)) if rows else "no trials"))


def diagnose(
    name: AnyName = None,
    round: Round = None,
    namespace: Namespace = None,
    context: Context = None,
    local: Local = False,
    storage: Storage = None,
    output: Output = Format.TABLE,
) -> None:
    """Tell what is wrong with a study, seen from its trials, and what to change."""
    from tuning_client import histories
    from tuning_report import text

    found = histories.read(make_target(namespace, context, local, storage), name, round)
    counts = count_text(found.progress.counts)
    title = f"{found.resolved.name}: {counts}"
    lines = [f"{title}", *text.diagnosis_lines(found)] if found.diagnosis else [f"{title}; nothing looks wrong"]
    print(render(output, [each.manifest() for each in found.diagnosis], "\n".join(lines)))


def report(
    name: AnyName = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", "--out", "-o", help="By default NAME.html.")] = None,
    round: Round = None,
    namespace: Namespace = None,
    context: Context = None,
    local: Local = False,
    storage: Storage = None,
) -> None:
    """Write a report with charts as one HTML file that needs no network."""
    from tuning_client import histories
    from tuning_report import page

    found = histories.read(make_target(namespace, context, local, storage), name, round)
    path = file or Path(f"{found.resolved.name}.html")
    page.write(found, path)
    print(path)


def _status_on_cluster(chosen: "Target", name: str | None, output: Format) -> None:
    from tuning_client.cluster import client, views

    connection, now = client.connect(chosen.context, chosen.namespace), datetime.now(UTC)
    if name is None:
        studies = connection.studies()
        rows = [views.row(study, now) for study in studies]
        nothing = f"no studies in namespace {connection.namespace}"
        print(render(output, rows, table(rows) if rows else nothing))
        return
    study = connection.study(name)
    shown = views.details(study, connection.events(study["metadata"]["uid"]), now) if output is Format.TABLE else ""
    print(render(output, {"name": name, **(study.get("status") or {})}, shown))
