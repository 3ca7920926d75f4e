"""Deletes studies: on this machine with trials and files, on a cluster the resource. Called by `tuning delete`."""

from fnmatch import fnmatchcase

from tuning_client.exceptions import WrongUse
from tuning_client.local import database
from tuning_client.local.folder import remove_files
from tuning_client.local.studies import choose, local_studies, round_of, rounds_of
from tuning_client.target import Target, local_store
from tuning_store import rounds


def matching(target: Target, pattern: str) -> list[str]:
    """The studies of this machine whose names match; `pattern` itself where it is a name. Raises WrongUse for none."""
    if not set(pattern) & set("*?["):
        return [pattern]
    if target.on_cluster:
        raise WrongUse(f"{pattern}: patterns are for studies of this machine; on a cluster name one study")
    with local_store(target) as store:
        known = sorted(local_studies(store))
    found = [name for name in known if fnmatchcase(name, pattern)]
    if not found:
        raise WrongUse(f"no study matches {pattern}; the store holds {', '.join(known) or 'none'}")
    return found


def delete(target: Target, name: str, number: int | None = None) -> None:
    """The study, or one round of it, with its trials and files. Raises WrongUse for one that is not there, or runs."""
    if target.on_cluster:
        from tuning_client.cluster import client

        client.connect(target.context, target.namespace).delete(name)
        return
    with local_store(target) as store, database.only_run(target.folder / f"{name}.lock", name):
        choose(local_studies(store), name)
        gone = rounds_of(store, name) if number is None else [round_of(store, name, number)]
        for round in gone:
            rounds.drop(store, round.study)
            remove_files(target.folder, round.resolved)
