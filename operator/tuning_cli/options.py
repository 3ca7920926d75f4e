"""Arguments and options that several commands share, and what they choose."""

from typing import TYPE_CHECKING, Annotated

import typer

from tuning_cli.output import Format
from tuning_client.exceptions import WrongUse

if TYPE_CHECKING:
    from tuning_client.target import Target

Name = Annotated[str, typer.Argument(help="The study's name.")]
AnyName = Annotated[str | None, typer.Argument(help="The study's name; may be left out where there is only one.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="By default that of the context.")]
Context = Annotated[str | None, typer.Option("--context", help="Of the kubeconfig; by default the current one.")]
Local = Annotated[
    bool, typer.Option("--local", help="A study of this folder, not of a cluster; the rule where no cluster is known.")
]
Storage = Annotated[str | None, typer.Option("--storage", metavar="URL", help="Like --local, in the store at URL.")]
Round = Annotated[
    int | None, typer.Option("--round", min=1, help="By default the one that was active last; on this machine only.")
]
Output = Annotated[Format, typer.Option("--output", "-o", help="How to print.")]


NO_STUDY_HERE = (
    "no study has run in this folder yet, and no cluster is known: `tuning run FILE` runs one here. "
    "For those of another folder go there; for a cluster's set KUBECONFIG or write --context"
)


def make_target(namespace: str | None, context: str | None, local: bool, storage: str | None) -> "Target":
    from tuning_client.cluster.presence import no_cluster
    from tuning_client.local import database
    from tuning_client.target import Target

    if not (local or storage or namespace or context) and no_cluster():
        if not database.exists(database.FOLDER):
            raise WrongUse(NO_STUDY_HERE)
        local = True
    chosen = Target(namespace, context, local, storage)
    if not chosen.on_cluster and (namespace or context):
        raise WrongUse("--namespace and --context are for clusters, --local and --storage for this machine")
    return chosen
