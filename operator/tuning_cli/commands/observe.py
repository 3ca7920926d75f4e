"""`tuning observe`: what a person knows of a model in production, sent to the cluster's exporter."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from tuning_cli.options import Context, Name, Namespace
from tuning_client.exceptions import WrongUse

if TYPE_CHECKING:
    from tuning_client.cluster.client import Cluster
    from tuning_client.cluster.port_forward import Service


def observe(
    name: Name,
    values: Annotated[
        list[str] | None,
        typer.Argument(
            help="Such as accuracy=0.91; of a canary's requests bad ones and all, such as errors=3/200.",
            metavar="METRIC=VALUE...",
        ),
    ] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Behind each value, such as labelled predictions.")] = None,
    time: Annotated[
        datetime | None, typer.Option(metavar="TIME", help="When it was measured, as 2026-12-01T08:00; by default now.")
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Predictions and later labels instead of values: CSV with the columns id, prediction, label, time.",
        ),
    ] = None,
    parameters: Annotated[
        str | None, typer.Option(metavar="NAME", help="The ConfigMap that a canary's requests were served with.")
    ] = None,
    sender: Annotated[str, typer.Option(help="Whose counters they are, if there are several.")] = "",
    exporter: Annotated[
        str, typer.Option(metavar="NAMESPACE/NAME", help="The exporter's Service.")
    ] = "tuning/tuning-exporter",
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Tell a study how its model does in production, for metrics with `push: {}` or `predictions`."""
    from tuning_client.cluster import client, observing

    given = {
        "METRIC=VALUE": values,
        "--samples": samples,
        "--time": time,
        "--sender": sender,
        "--parameters": parameters,
    }
    place, at = observing.exporter_at(exporter), time.astimezone() if time is not None else None
    if predictions is not None:
        _without(given, "--predictions", *given)
        told = _tell_predictions(predictions, partial(client.connect, context, namespace), place, name)
        print(f"{name} is told {told}. `tuning status {name}` shows the score of windows that are over")
        return
    if not values:
        raise WrongUse("nothing to tell: write a metric and a number, such as accuracy=0.91, or --predictions FILE")
    told = ", ".join(values)
    if parameters is not None:
        _without(given, "--parameters", "--samples")
        counts = dict(map(_count, values))
        connection = client.connect(context, namespace)
        compared = observing.send_counts(connection, place, name, counts, parameters=parameters, sender=sender, at=at)
        told += "" if compared else f", but no canary compares {parameters} now"
    else:
        _without(given, "values", "--sender")
        measured = dict(map(_value, values))
        observing.send(client.connect(context, namespace), place, name, measured, samples=samples, at=at)
    print(f"{name} is told {told}; `tuning status {name}` shows what it makes of it")


def _tell_predictions(file: Path, connect: Callable[[], "Cluster"], exporter: "Service", study: str) -> str:
    """What was told, in words. A file that cannot be read is told before anything is connected to."""
    from tuning_client.cluster import observing
    from tuning_client.cluster.predictions_file import read_predictions

    read = read_predictions(file)
    found = observing.send_predictions(connect(), exporter, study, read.batches())
    parts = [f"{len(read.predictions)} predictions", f"{len(read.labels)} labels"]
    if found["known"]:
        parts.append(f"{found['known']} of them known before")
    if found["late"]:
        parts.append(f"{found['late']} too late to count: their windows are over")
    if read.unread:
        parts.append(f"not read: {', '.join(map(repr, read.unread))}")
    return "; ".join(parts)


def _without(given: Mapping[str, object], beside: str, *names: str) -> None:
    """Raises WrongUse for what says nothing there."""
    for name in names:
        if given[name]:
            raise WrongUse(f"{name} says nothing beside {beside}: leave one of them out")


def _count(written: str) -> tuple[str, tuple[int, int]]:
    counted = re.fullmatch(r"(.+)=([0-9]+)/([0-9]+)", written)
    if counted is None:
        raise WrongUse(f"{written!r} counts no requests: write a metric, bad ones and all, such as errors=3/200")
    return counted[1], (int(counted[2]), int(counted[3]))


def _value(written: str) -> tuple[str, float]:
    metric, separator, value = written.rpartition("=")
    try:
        return (metric, float(value)) if metric and separator else _no_value(written)
    except ValueError:
        return _no_value(written)


def _no_value(written: str) -> NoReturn:
    told = "; counts of a canary's requests need --parameters" if "/" in written else ""
    raise WrongUse(f"{written!r} is no observation: write a metric and a number, such as accuracy=0.91{told}")
