"""Commands that look after the store: its passwords, backups of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuning_cli.options import Context, Local, Namespace, Storage, make_target
from tuning_client.exceptions import TuningError, WrongUse

if TYPE_CHECKING:
    from tuning_client.target import Target
    from tuning_store.backup import Contents


def rotate_credentials(
    everywhere: Annotated[bool, typer.Option("--all", help="Every namespace that has a login.")] = False,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Give a namespace's login to the store a new password; workers that run go on, and take it up by themselves."""
    from tuning_client.cluster import client, credentials

    if everywhere and namespace:
        raise WrongUse("give --all or --namespace, not both")
    refused = False
    for place, problem in credentials.rotate(client.connect(context, namespace), everywhere=everywhere):
        refused = refused or bool(problem)
        print(f"{place}: {problem or 'a new password is in its Secret'}")
    if refused:
        raise TuningError("not every password could be changed")


def backup(
    file: Annotated[Path, typer.Argument(help="Target to write it; replaced once the new one is whole.")],
    namespace: Namespace = None,
    context: Context = None,
    local: Local = False,
    storage: Storage = None,
) -> None:
    """Write studies with all their trials to one file.

    Those of a namespace, with its login. With the database administrator's URL as --storage, those of all namespaces,
    or of the one that --namespace names.
    """
    from tuning_cli.commands import backup_commands

    found = backup_commands.backup(
        file, _store_target(namespace, context, local, storage), namespace if storage else None
    )
    print(f"{file}: {_contents(found)}")


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
    from tuning_cli.commands import backup_commands

    print(f"restored {_contents(backup_commands.restore(file, make_target(namespace, context, local, storage)))}")


def _store_target(namespace: str | None, context: str | None, local: bool, storage: str | None) -> "Target":
    """Of a store behind a URL, --namespace chooses a part."""
    return make_target(None if storage else namespace, context, local, storage)


def _contents(found: "Contents") -> str:
    names = sorted({study.partition("/")[0] for study in found.studies})
    return f"{len(found.studies)} studies with {found.trials} trials, of {', '.join(names) or 'no namespace'}"
