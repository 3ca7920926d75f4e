"""Commands that change a study on a cluster."""

from datetime import datetime
from typing import Annotated, Any
from uuid import uuid4

import typer

from tuning_cli.options import Context, Name, Namespace

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


def _change(name: str, namespace: str | None, context: str | None, spec: dict[str, Any], outcome: str) -> None:
    from tuning_client.cluster import client

    client.connect(context, namespace).change(name, {"spec": spec})
    print(f"{name} {outcome}")
