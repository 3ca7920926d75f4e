"""Commands about the studies of this machine as things that are there: which, where, and away with them."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tuning_cli.options import AnyName, Context, Local, Namespace, Output, Round, Storage, make_target
from tuning_cli.output import Format, render
from tuning_client.exceptions import WrongUse
from tuning_report.format import table, visible


def list_(
    namespace: Namespace = None,
    context: Context = None,
    local: Local = False,
    storage: Storage = None,
    output: Output = Format.TABLE,
) -> None:
    """List every round of every study: when it began, how far it came, and its best."""
    from tuning_client import histories

    rows = histories.round_rows(make_target(namespace, context, local, storage))
    print(render(output, rows, table(rows) if rows else "no studies"))


def delete(
    name: Annotated[str, typer.Argument(help="The study's name; on this machine also a pattern: 'digits-compare-*'.")],
    round: Annotated[int | None, typer.Option(min=1, help="Only this round; on this machine.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    namespace: Namespace = None,
    context: Context = None,
    local: Local = False,
    storage: Storage = None,
) -> None:
    """Delete a study with all its trials, or one of its rounds."""
    from tuning_client import removal

    chosen = make_target(namespace, context, local, storage)
    if chosen.on_cluster and round is not None:
        raise WrongUse("--round is for studies of this machine; a cluster drops old rounds by itself")
    names = removal.matching(chosen, name)
    if len(names) > 1 and round is not None:
        raise WrongUse("--round is of one study, and the pattern matches several: name one")
    what = f"round {round} of {names[0]}" if round is not None else ", ".join(names)
    if not yes:
        if not sys.stdin.isatty():
            raise WrongUse(f"this would delete {what} with its trials: say so with --yes")
        typer.confirm(f"Delete {what} with its trials?", abort=True)
    for each in names:
        removal.delete(chosen, each, round)
    print(f"{what} {'is' if len(names) == 1 else 'are'} deleted")


def fit(
    name: AnyName = None,
    out: Annotated[
        str, typer.Option("--out", "-o", help="Where to write the model; its card goes beside it.")
    ] = "model.joblib",
    trial: Annotated[int | None, typer.Option(min=0, help="By default the best.")] = None,
    pareto: Annotated[bool, typer.Option(help="Each trial of the Pareto set, into a file of its own.")] = False,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Fit in the cluster, where the study's data are: pvc://CLAIM/model.joblib writes to a volume, "
            "https:, s3: and the like send it. The card is written here.",
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="A file to fit on instead of the study's own.")] = None,
    round: Round = None,
    namespace: Namespace = None,
    context: Context = None,
    local: Local = False,
    storage: Storage = None,
) -> None:
    """Fit the best trial's scikit-learn pipeline on all data, and write the model with a card."""
    from tuning_client import fitting, histories, model

    target = make_target(namespace, context, local, storage)
    found = histories.read(target, name, round)
    trials = {f"-{each.number}" if pareto else "": each for each in model.choose(found, trial, front=pareto)}
    if to is not None:
        for suffix, chosen in trials.items():
            written, card = fitting.on_cluster(target, found, chosen, fitting.with_suffix(to, suffix), data)
            print(f"{written}: described in {card}")
        return
    path = Path(out)
    paths = {path.with_name(f"{path.stem}{suffix}{path.suffix}"): chosen for suffix, chosen in trials.items()}
    for file, described in zip(paths, model.fit(found, paths, data), strict=True):
        print(f"{file}: described in {described}")


def logs(
    name: AnyName = None,
    trial: Annotated[int | None, typer.Option(min=0, help="Only what was written while this trial ran.")] = None,
    namespace: Namespace = None,
    context: Context = None,
    local: Local = False,
) -> None:
    """Print what a study's workers have written: their objectives' output, and what became of each trial."""
    from tuning_client import logs

    for source, lines in logs.read(make_target(namespace, context, local, None), name, trial):
        for line in lines:
            print(visible(f"{source}: {line}"))


def url(
    idle: Annotated[float, typer.Option(min=1, help="Minutes without a connection after which the store stops.")] = 10,
) -> None:
    """Print the URL of this folder's store, and keep it running for notebooks and optuna-dashboard."""
    from tuning_client import histories
    from tuning_client.local import database, keeper

    here = make_target(None, None, True, None)
    with database.database(here.folder) as found:
        names = histories.optuna_names(here)
        if not found.url.startswith("sqlite"):
            keeper.keep_running(here.folder, idle * 60)
        print(found.url)
    told = f"it stays up until nobody has used it for {idle:g} minutes; the studies, as optuna.load_study names them:"
    print("\n".join([told, *(f"  {name}" for name in names)]), file=sys.stderr)
