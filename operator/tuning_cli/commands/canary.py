"""Commands about canaries."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuning_cli.options import Context, Namespace, Output
from tuning_cli.output import Format, render
from tuning_client.exceptions import WrongUse
from tuning_report.format import table

if TYPE_CHECKING:
    from tuning_study.api.spec import TuningStudySpec

app = typer.Typer(no_args_is_help=True)
_SHOWN = 15  # looks of a long one


@app.callback()
def canary() -> None:
    """Find out what the canary of a manifest would have decided."""


@app.command()
def replay(
    start: Annotated[
        datetime,
        typer.Option("--from", metavar="TIME", help="When its pods were ready, in local time."),
    ],
    prometheus: Annotated[
        str, typer.Option(metavar="URL", envvar="TUNING_PROMETHEUS_URL", help="Whose history is read.")
    ],
    name: Annotated[str | None, typer.Argument(help="The study's name, unless --file names a manifest.")] = None,
    end: Annotated[datetime | None, typer.Option("--to", metavar="TIME", help="Instead of `for` after --from.")] = None,
    stable_pods: Annotated[
        str | None, typer.Option(metavar="REGEX", help="Names of the pods of before; by default the target's.")
    ] = None,
    canary_pods: Annotated[
        str | None, typer.Option(metavar="REGEX", help="Names of the pods to judge; by default the target's canaries'.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="A manifest, instead of a study's.")] = None,
    namespace: Namespace = None,
    context: Context = None,
    output: Output = Format.TABLE,
) -> None:
    """Run a canary's analysis over a past interval; nothing is changed."""
    from tuning_client import canary_replay
    from tuning_prometheus.canary import matchers, pods_of

    spec, where = _manifest(name, file, namespace, context)
    promotion = spec.promotion
    deployment = promotion.target.deployment if promotion is not None and promotion.target is not None else None
    if promotion is None or promotion.canary is None or deployment is None:
        raise WrongUse("the manifest has no canary: add spec.promotion.canary, which docs/canary.md shows")
    asked, target = canary_replay.with_history(promotion.canary), deployment.name
    began = start.astimezone(UTC)
    ended = end.astimezone(UTC) if end is not None else began + asked.for_
    if ended <= began:
        raise WrongUse(f"--to: {ended.astimezone():%Y-%m-%d %H:%M:%S} is not after --from")
    if ended > datetime.now(UTC):
        raise WrongUse(
            f"--from, --to: the interval ends at {ended.astimezone():%Y-%m-%d %H:%M:%S}, which is yet to come; without"
            " --to it is as long as the canary's `for`"
        )
    others = canary_pods or pods_of(f"{target}-canary-[0-9a-f]{{8}}")
    sides = matchers(asked, where, stable_pods or pods_of(target), others)
    found = asyncio.run(canary_replay.run(prometheus, asked, sides, began, ended))
    shown = found[:: len(found) // _SHOWN + 1]
    shown = shown if shown[-1] is found[-1] else [*shown, found[-1]]
    pushed = ", ".join(promotion.canary.pushed)
    left_out = [f"left out, as no Prometheus has counts that were pushed: {pushed}"] if pushed else []
    text = "\n".join([table(canary_replay.rows(shown)), "", *left_out, canary_replay.outcome(asked, found)])
    print(render(output, canary_replay.document(asked, found), text))


def _manifest(
    name: str | None, file: Path | None, namespace: str | None, context: str | None
) -> "tuple[TuningStudySpec, str]":
    """And the namespace of its pods."""
    from tuning_client import studyfile
    from tuning_client.cluster import client
    from tuning_study.manifest import read_spec

    if name is not None and file is not None:
        raise WrongUse("write the name of a study on the cluster or --file FILE, not both")
    if name is None and file is None:
        raise WrongUse("write the name of a study on the cluster, or --file FILE")
    if file is not None:
        return studyfile.read(file).spec, namespace or "default"
    assert name is not None
    connection = client.connect(context, namespace)
    return read_spec(connection.study(name)["spec"], served=True), connection.namespace
