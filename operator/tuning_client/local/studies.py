"""The studies that ran on this machine, as its store knows them."""

from collections.abc import Mapping
from datetime import datetime

from tuning_client.exceptions import WrongUse
from tuning_client.local.round_choice import EarlierRound
from tuning_store.store import Store
from tuning_store.values import Progress
from tuning_study.attributes import FILES_ATTRIBUTE
from tuning_study.round import ResolvedRound, is_search, read_round

LOCAL = "local"
"""Namespace and owner of studies that ran on this machine."""


def local_studies(store: Store) -> dict[str, Progress]:
    """The studies that ran on this machine by name, each at the round that was active last."""
    found: dict[str, Progress] = {}
    for standing in sorted(store.readings.progress().values(), key=active_at):
        if is_search(standing.study) and (name := local_name(standing.study)) is not None:
            found[name] = standing
    return found


def rounds_of(store: Store, name: str) -> list[EarlierRound]:
    """Every round of the study, the one that was active last at the end."""
    return [
        _earlier_round(store, standing)
        for standing in sorted(store.readings.progress().values(), key=active_at)
        if is_search(standing.study) and local_name(standing.study) == name
    ]


def round_of(store: Store, name: str | None, number: int) -> EarlierRound:
    """The study's round of that number. Raises WrongUse for one that is not there."""
    chosen = local_name(choose(local_studies(store), name).study)
    assert chosen is not None
    found = {round.number: round for round in rounds_of(store, chosen)}
    if number not in found:
        raise WrongUse(f"{chosen} has no round {number}; it has {', '.join(map(str, sorted(found)))}")
    return found[number]


def resolved_round(store: Store, study: str) -> ResolvedRound:
    """As it was begun, with the selection of now."""
    return read_round(store.load_study(study).user_attrs)


def active_at(standing: Progress) -> datetime:
    """When the round's last trial ended, or it began."""
    return standing.last_finished_at or standing.started_at


def choose(studies: Mapping[str, Progress], name: str | None) -> Progress:
    """The study of that name; without a name, the only one. Raises WrongUse."""
    if not studies:
        raise WrongUse("the store holds no study yet: start one with `tuning run FILE`")
    if name is None and len(studies) == 1:
        return next(iter(studies.values()))
    if name is None or name not in studies:
        asked = "give the name of one study" if name is None else f"no study {name} in the store"
        raise WrongUse(f"{asked}; it holds {', '.join(sorted(studies))}")
    return studies[name]


def local_name(study: str) -> str | None:
    """What its author calls the study of that name in Optuna; None for one that did not run on a laptop."""
    namespace, _, rest = study.partition("/")
    return rest.split("/")[0] if namespace == LOCAL else None


def _earlier_round(store: Store, standing: Progress) -> EarlierRound:
    return EarlierRound(
        resolved=resolved_round(store, standing.study),
        files=store.load_study(standing.study).user_attrs.get(FILES_ATTRIBUTE),
        counts=standing.counts,
        stop_reason=standing.stop_reason,
        active_at=active_at(standing),
    )
