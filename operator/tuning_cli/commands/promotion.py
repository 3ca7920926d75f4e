"""Commands about what is in production: bring parameters there, bring back those of before, and read the record."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuning_cli.options import Context, Name, Namespace
from tuning_cli.output import Format, render
from tuning_client.exceptions import TuningError, WrongUse
from tuning_report.format import table

if TYPE_CHECKING:
    from tuning_store.record import Line

Reason = Annotated[str, typer.Option(help="Why; it is kept in the record.")]
Patience = Annotated[int, typer.Option("--timeout", min=1, help="Seconds to wait for the operator and for the pods.")]


class HistoryFormat(StrEnum):
    """Format, and a page."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    HTML = "html"


class Kind(StrEnum):
    """What an export is made as."""

    CONFIG_MAP = "configmap"


def promote(
    name: Name,
    round: Annotated[int | None, typer.Option(min=1, help="Whose parameters; by default the newest round's.")] = None,
    again: Annotated[bool, typer.Option(help="Also parameters that were rolled back.")] = False,
    reason: Reason = "",
    patience: Patience = 120,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Bring a round's verified parameters to production."""
    from tuning_client.cluster import client, promoting

    connection = client.connect(context, namespace)
    print(promoting.ask(connection, name, "promote", patience=patience, reason=reason, round=round, again=again))


def rollback(
    name: Name,
    reason: Reason = "",
    patience: Patience = 120,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Bring the parameters back that were in production before."""
    from tuning_client.cluster import client, promoting

    print(promoting.ask(client.connect(context, namespace), name, "rollback", patience=patience, reason=reason))


def history(
    name: Name,
    at: Annotated[
        datetime | None,
        typer.Option(metavar="TIME", help="What was in production then, and why, as 2026-12-01T08:00."),
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
    output: Annotated[HistoryFormat, typer.Option("--output", "-o", help="How to print; html writes a page.")] = (
        HistoryFormat.TABLE
    ),
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Of the page; by default NAME-history.html.")
    ] = None,
) -> None:
    """Show the record: rounds, and what was verified, promoted, refused and rolled back, when, by whom and why."""
    from tuning_client import production_history, recorded
    from tuning_client.target import Target
    from tuning_report.recorded import verified_of

    page = output is HistoryFormat.HTML
    if page and at is not None:
        raise WrongUse("--at answers with one line: write -o table, json or yaml with it, or leave it out for the page")
    if file is not None and not page:
        raise WrongUse("--file is for the page: write -o html with it")
    lines = recorded.read(Target(namespace, context), name)
    if page:
        _write_page(name, lines, file or Path(f"{name}-history.html"))
        return
    form = Format(output.value)
    if at is None:
        nothing = f"{name}: nothing is recorded yet"
        told = table(production_history.rows(lines)) if lines else nothing
        print(render(form, production_history.documents(lines), told))
        return
    found = production_history.serving_at(lines, at.astimezone())
    if found is None:
        raise TuningError(f"{name}: nothing was in production at {at:%Y-%m-%d %H:%M}")
    stable = found.evidence["stable"]
    parameters = verified_of(lines, stable).get("parameters", {})
    since = f"{stable}, since {found.at:%Y-%m-%d %H:%M:%S} by {found.actor}"
    told = "\n".join(filter(None, [since, found.message, production_history.origin(lines, stable)]))
    document = {"parameters": parameters, "name": stable, **production_history.documents([found])[0]}
    print(render(form, document, "\n".join([told, *(f"  {key}: {value}" for key, value in parameters.items())])))


def _write_page(name: str, lines: "Sequence[Line]", path: Path) -> None:
    from tuning_report.page import write_record

    write_record(name, lines, path)
    print(path)


def export(
    name: Name,
    kind: Annotated[Kind, typer.Option(help="As what.")] = Kind.CONFIG_MAP,
    round: Annotated[int | None, typer.Option(min=1, help="Whose parameters; by default those in production.")] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="By default they are printed.")] = None,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Write verified parameters as a manifest, for a commit to a repository that Argo CD or Flux applies."""
    from tuning_client.cluster import client, exporting
    from tuning_client.yaml import as_yaml

    text = as_yaml(exporting.config_map(client.connect(context, namespace), name, round))
    if file is None:
        print(text, end="")
        return
    file.write_text(text)
    print(file)
