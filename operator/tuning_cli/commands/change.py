"""Commands that change a study on a cluster."""

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn
from uuid import uuid4

import typer

from tuning_cli.options import Context, Name, Namespace
from tuning_client.exceptions import WrongUse

_RETUNE_WAIT = 15.0  # seconds for the operator to answer


def retune(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why; it is kept with the round.")],
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Ask for a new round, and tell what the operator decided."""
    from tuning_client.cluster import client
    from tuning_client.cluster.retune import request_round
    from tuning_study.requests import RetuneRequest

    connection = client.connect(context, namespace)
    request = RetuneRequest(f"cli-{uuid4().hex[:12]}", reason, evidence={"by": connection.who_am_i()})
    print(request_round(connection, name, request, _RETUNE_WAIT))


def pause(name: Name, namespace: Namespace = None, context: Context = None) -> None:
    """Suspend a study: its workers end, its trials are kept."""
    _change(name, namespace, context, {"suspend": True}, "is paused; go on with `tuning resume`")


def resume(name: Name, namespace: Namespace = None, context: Context = None) -> None:
    """Go on with a suspended study."""
    _change(name, namespace, context, {"suspend": False}, "goes on")


def scale(
    name: Name,
    replicas: Annotated[int, typer.Argument(min=1, max=1000, help="How many workers.")],
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Change how many workers a study has."""
    _change(name, namespace, context, {"workers": {"replicas": replicas}}, f"gets {replicas} workers")


def freeze(
    name: Name,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Such as 2h, or 2026-12-01T08:00. By default until `unfreeze`.")
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Keep programs from starting rounds, and everything from being promoted. `tuning retune`, `rollback` still act."""
    from tuning_client.cluster import client, freezing

    end = freezing.end_of_freeze(until, datetime.now().astimezone().replace(microsecond=0))
    freezing.freeze(client.connect(context, namespace), name, end)
    told = f" until {end:%Y-%m-%d %H:%M %Z}" if end is not None else ""
    print(f"{name} is frozen{told}; end it with `tuning unfreeze {name}`")


def unfreeze(name: Name, namespace: Namespace = None, context: Context = None) -> None:
    """Let programs start rounds, and parameters be promoted again."""
    from tuning_client.cluster import client, freezing

    freezing.unfreeze(client.connect(context, namespace), name)
    print(f"{name} is frozen no longer")


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
    from tuning_client.cluster.predictions_file import read_predictions

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
        read = read_predictions(predictions)
        found = observing.send_predictions(client.connect(context, namespace), place, name, read.batches())
        parts = [f"{len(read.predictions)} predictions", f"{len(read.labels)} labels"]
        parts += [f"{found['known']} of them known before"] if found["known"] else []
        parts += [f"{found['late']} predictions too late: their windows are over"] if found["late"] else []
        parts += [f"not read: {', '.join(map(repr, read.unread))}"] if read.unread else []
        print(f"{name} is told {'; '.join(parts)}. `tuning status {name}` shows the score of windows that are over")
        return
    if not values:
        raise WrongUse("nothing to tell: write a metric and a number, such as accuracy=0.91, or --predictions FILE")
    if parameters is not None:
        _without(given, "--parameters", "--samples")
        counts = dict(map(_count, values))
        connection = client.connect(context, namespace)
        compared = observing.send_counts(connection, place, name, counts, parameters=parameters, sender=sender, at=at)
        told = "" if compared else f", but no canary compares {parameters} now"
        print(f"{name} is told {', '.join(values)}{told}; `tuning status {name}` shows what it makes of it")
        return
    _without(given, "values", "--sender")
    measured = dict(map(_value, values))
    observing.send(client.connect(context, namespace), place, name, measured, samples=samples, at=at)
    print(f"{name} is told {', '.join(values)}; `tuning status {name}` shows what it makes of it")


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


def _change(name: str, namespace: str | None, context: str | None, spec: dict[str, Any], outcome: str) -> None:
    from tuning_client.cluster import client

    client.connect(context, namespace).change(name, {"spec": spec})
    print(f"{name} {outcome}")
