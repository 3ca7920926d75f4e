"""The command that shows studies as a live page, on this machine."""

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuning_cli.options import Context, Namespace, Storage
from tuning_client.exceptions import WrongUse

if TYPE_CHECKING:
    import socket

    from tuning_client.target import Target

PORT = 8787


def dashboard(
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help=f"By default {PORT}, or any free one where that is taken.")
    ] = None,
    folder: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where `tuning run` was started: its .tuning is read.")
    ] = Path(),
    storage: Storage = None,
    namespace: Namespace = None,
    context: Context = None,
    browser: Annotated[bool, typer.Option(help="Open it in a browser.")] = True,
) -> None:
    """Show the studies of this folder as a page that follows them while they run. Ctrl-C ends it.

    With --namespace or --context those of a cluster's namespace. The page is for this machine alone, and changes
    nothing.
    """
    from tuning_client import logs, target
    from tuning_dashboard.serve import serve

    chosen = _target(folder, storage, namespace, context)
    with _bound(port) as listening, target.whole_store(chosen) as store:
        read_log = None if chosen.on_cluster else partial(logs.lines_of, chosen.folder)
        serve(store, listening, lambda url: _tell(url, browser), read_log)


def _target(folder: Path, storage: str | None, namespace: str | None, context: str | None) -> "Target":
    from tuning_client.local.database import FOLDER
    from tuning_client.target import Target

    cluster = namespace is not None or context is not None
    given = {"--folder": folder != Path(), "--storage": storage is not None, "--namespace or --context": cluster}
    named = [option for option, is_given in given.items() if is_given]
    if len(named) > 1:
        raise WrongUse(f"{' and '.join(named)} name two stores: give one of them")
    return Target(namespace, context, local=not cluster, storage=storage, folder=folder / FOLDER)


def _bound(port: int | None) -> "socket.socket":
    from tuning_dashboard.serve import bind

    try:
        return bind(PORT if port is None else port)
    except OSError as error:
        if port is None:
            return bind(0)
        raise WrongUse(f"--port: {port} is taken ({error.strerror}); --port 0 takes any that is free") from error


def _tell(url: str, browser: bool) -> None:
    import webbrowser

    print(f"{url}  (Ctrl-C ends it)", flush=True)
    if browser and _has_screen():
        webbrowser.open(url)


def _has_screen() -> bool:
    """Without one, what would open is a browser of text, in this very terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
