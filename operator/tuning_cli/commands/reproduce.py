"""The command that repeats a round, or one of its trials, on this machine, and compares."""

from pathlib import Path
from typing import Annotated

import typer

from tuning_cli.options import Context, Local, Name, Namespace, Output, Storage, make_target
from tuning_cli.output import Format, render
from tuning_client.exceptions import WrongUse

_DIFFERENT = 3  # an exit code of its own: 1 says that nothing could be compared


def reproduce(
    name: Name,
    round: Annotated[int | None, typer.Option(min=1, help="By default the newest.")] = None,
    trial: Annotated[
        str | None, typer.Option(metavar="best|NUMBER", help="Which trial to repeat. [default: best]")
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Repeat the whole round, with one worker.")] = False,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where the study's code and data are on this machine; by default here."),
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
    local: Local = False,
    storage: Storage = None,
    output: Output = Format.TABLE,
) -> None:
    """Repeat a round's best trial on this machine and compare it with what is stored: exit 0 if equal, 3 if not.

    The trial has the parameters, the seed and the number that it had. Nothing is written into the study's store.
    """
    from tuning_client import reproducing, reproduction
    from tuning_client.display import display_on_stderr

    if whole and trial is not None:
        raise WrongUse("--whole repeats all trials: leave --trial out")
    target = make_target(namespace, context, local, storage)
    found = reproducing.reproduce(
        target, name, round, trial=trial or reproduction.BEST, whole=whole, folder=folder, display=display_on_stderr()
    )
    print(render(output, reproduction.document(found), "\n".join(reproduction.lines(found))))
    raise typer.Exit(0 if found.equal else _DIFFERENT)
