"""How a round begins and ends in any store: with its Optuna study, and with its history. Called by the operator, by
`tuning run`, and by workers when a search is over."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import optuna
from optuna.exceptions import ExperimentalWarning

from tuning_store.exceptions import UnknownRound, translated
from tuning_store.optuna_internals import id_of_study
from tuning_store.store import Store
from tuning_store.values import Owner
from tuning_study.api.budget import Budget
from tuning_study.api.selection import Selection
from tuning_study.attributes import (
    CANDIDATES_ATTRIBUTE,
    FINGERPRINT_ATTRIBUTE,
    INCUMBENT_ATTRIBUTE,
    REFERENCE_ATTRIBUTE,
    ROUND_ATTRIBUTE,
    SELECTION_ATTRIBUTE,
    START_ATTRIBUTE,
    VERSIONS_ATTRIBUTE,
)
from tuning_study.production.features import Reference
from tuning_study.results.best import ranked
from tuning_study.results.candidates import candidates
from tuning_study.results.verified import Verified, measured, overlap_of, verdict
from tuning_study.round import ResolvedRound, read_round, verifies
from tuning_study.search.space import Point, stored_point
from tuning_study.verification import verification_of


def start(
    store: Store,
    resolved: ResolvedRound,
    *,
    digest: str,
    budget: Budget,
    owner: Owner,
    points: Sequence[Point],
    warm_from: str | None = None,
    incumbent: bool = False,
) -> int:
    """Make the round's study and row, unless they exist, and put `points` first in line. Returns Optuna's study id.
    `warm_from` is the study of the round that this one goes on from; with an `incumbent` the first of the points are
    the parameters of before, which the round has to beat.

    The row is written last, and the points with it: until it is there no worker can claim. A start that was cut off is
    made whole by repeating it, and of two at the same moment one writes the points.
    """
    with translated():
        study = _study_of(store, resolved)
        with suppress(UnknownRound):
            return store.rounds.find(resolved.study)
        _describe(study, resolved)
        held = [stored_point(point) for point in points]
        distinct = [point for index, point in enumerate(held) if point not in held[:index]]
        study.set_user_attr(START_ATTRIBUTE, {"points": len(distinct), "from": warm_from, "incumbent": incumbent})
        study_id = id_of_study(study)
        store.rounds.add(study_id, resolved.study, digest, budget, owner, distinct)
        return study_id


def begin_verification(store: Store, search: ResolvedRound) -> ResolvedRound | None:
    """Make the round in which the search's best trials are measured again, unless it exists, and return it; None when
    no trial of the search is complete. The search must be over, and none of its trials may be running: then all
    workers begin the same one, and any of them may repeat what another could not finish.
    """
    with translated():
        searched = store.load_study(search.study)
        trials = searched.get_trials(deepcopy=False)
        wanted = search.spec.verification
        assert wanted is not None
        # By the selection with which the round began, which is the same for all workers.
        order = ranked(search.spec.objectives, candidates(trials), search.spec.selection)
        chosen = [entry.number for entry in order[: wanted.top]]
        if not chosen:
            return None
        first = trials[0].number
        if has_incumbent := _has_incumbent(searched) and any(entry.number == first for entry in order):
            chosen += [] if first in chosen else [first]
        standing = store.readings.progress()[search.study]
        verification = verification_of(search, standing.counts.used, len(chosen))
        study = _study_of(store, verification)
        with suppress(UnknownRound):
            store.rounds.find(verification.study)
            return verification
        study.set_user_attr(CANDIDATES_ATTRIBUTE, chosen)
        if has_incumbent:
            study.set_user_attr(INCUMBENT_ATTRIBUTE, chosen.index(first))
        _describe(study, verification)
        points = [dict(trials[number].params) for number in chosen] * wanted.repeats
        owner, budget = Owner(standing.owner, standing.retain), verification.spec.budget
        store.rounds.add(id_of_study(study), verification.study, standing.digest, budget, owner, points)
        return verification


def set_selection(store: Store, study: str, selection: Selection | None) -> None:
    """From now on the round's best is chosen so; no trial is affected. Raises UnknownRound."""
    with translated():
        found = store.load_study(study)
        if read_round(found.user_attrs).spec.selection != selection:
            found.set_user_attr(SELECTION_ATTRIBUTE, selection.manifest() if selection is not None else {})


def read_verification(store: Store, study: str, selection: Selection | None = None) -> Verified:
    """What the verification of this name has come to, with the best by the search's `selection` as it is now. Raises
    UnknownRound."""
    with translated():
        found = store.load_study(study)
        verification = ResolvedRound.model_validate(found.user_attrs[ROUND_ATTRIBUTE])
        runs = measured(verification, found.user_attrs[CANDIDATES_ATTRIBUTE], found.get_trials(deepcopy=False))
        spec = verification.spec
        named = verdict(spec.objectives, spec.constraints, runs, overlap_of(spec), selection)
        return replace(named, incumbent=found.user_attrs.get(INCUMBENT_ATTRIBUTE))


def references(store: Store, name: str) -> dict[str, Reference]:
    """Of the features of the data of the round whose study has this name; none where its workers have told of none."""
    with translated():
        found = store.load_study(name).user_attrs.get(REFERENCE_ATTRIBUTE) or {}
        return {feature: Reference.from_document(document) for feature, document in found.items()}


def provenance(store: Store, name: str) -> tuple[dict[str, str], str | None]:
    """The versions that the workers of the round whose study has this name had installed, and what tells its data from
    others; empty and None where none has told."""
    with translated():
        attributes = store.load_study(name).user_attrs
        return dict(attributes.get(VERSIONS_ATTRIBUTE) or {}), attributes.get(FINGERPRINT_ATTRIBUTE)


def drop(store: Store, study: str) -> None:
    """Remove a round and its whole history. Nothing happens when it is gone already."""
    with translated():
        names = optuna.get_all_study_names(store.storage)
        for name in [*(other for other in names if verifies(other, study)), study]:
            try:
                study_id = store.storage.get_study_id_from_name(name)
            except KeyError:
                continue
            store.rounds.remove(study_id)
            store.storage.delete_study(study_id)


def _has_incumbent(study: optuna.Study) -> bool:
    return bool((study.user_attrs.get(START_ATTRIBUTE) or {}).get("incumbent"))


def _study_of(store: Store, resolved: ResolvedRound) -> optuna.Study:
    return optuna.create_study(
        storage=store.storage,
        study_name=resolved.study,
        directions=["maximize" if m.direction == "Maximize" else "minimize" for m in resolved.spec.objectives],
        load_if_exists=True,
    )


def _describe(study: optuna.Study, resolved: ResolvedRound) -> None:
    """So that the history explains itself."""
    study.set_user_attr(ROUND_ATTRIBUTE, resolved.manifest())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names([metric.name for metric in resolved.spec.objectives])
