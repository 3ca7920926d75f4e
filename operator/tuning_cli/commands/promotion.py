"""Commands about what is in production: bring parameters there, bring back those of before, and read the record."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tuning_cli.options import Context, Name, Namespace, Output
from tuning_cli.output import Format, render
from tuning_client.exceptions import TuningError
from tuning_report.format import table

Reason = Annotated[str, typer.Option(help="Why; it is kept in the record.")]
Patience = Annotated[int, typer.Option("--timeout", min=1, help="Seconds to wait for the operator and for the pods.")]


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
    output: Output = Format.TABLE,
) -> None:
    """Show the record: what was verified, promoted, refused and rolled back, when, by whom and why."""
    from tuning_client import production_history, recorded
    from tuning_client.target import Target

    lines = recorded.read(Target(namespace, context), name)
    if at is None:
        nothing = f"{name}: nothing is recorded yet"
        told = table(production_history.rows(lines)) if lines else nothing
        print(render(output, production_history.documents(lines), told))
        return
    found = production_history.serving_at(lines, at.astimezone())
    if found is None:
        raise TuningError(f"{name}: nothing was in production at {at:%Y-%m-%d %H:%M}")
    stable = found.evidence["stable"]
    parameters = production_history.parameters_of(lines, stable)
    told = "\n".join([f"{stable}, since {found.at:%Y-%m-%d %H:%M:%S} by {found.actor}", found.message])
    document = {"parameters": parameters, "name": stable, **production_history.documents([found])[0]}
    print(render(output, document, "\n".join([told, *(f"  {key}: {value}" for key, value in parameters.items())])))


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
