"""Carries out what a plan says, in the cluster and in the store. Every action can be repeated without harm."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from tuning_kube import names
from tuning_kube.client import Cluster
from tuning_operator import reasons
from tuning_operator.executors.worker_job.job import WorkerDefaults, worker_job
from tuning_operator.objects.round_config_map import round_config_map
from tuning_operator.observe.observation import Study
from tuning_operator.own_writes import OwnWrites
from tuning_operator.plan.actions import (
    Action,
    FailTrials,
    KeepReferences,
    PromotionAction,
    ReleaseTrials,
    RemoveWorker,
    RemoveWorkers,
    ScaleWorkers,
    SetBudget,
    SetPaused,
    SetRetain,
    SetSelection,
    StartRound,
    StartWorkers,
    StudyEvent,
)
from tuning_operator.promote import Promoter
from tuning_operator.settings import Settings
from tuning_operator.stores import Location, Stores
from tuning_store import features, rounds
from tuning_store.earlier_studies import begin_with
from tuning_store.store import Store
from tuning_store.values import Owner
from tuning_study.results.best import best_parameters
from tuning_study.round import spec_digest, study_name
from tuning_study.search.space import Point
from tuning_study.search.warm_start import starting_points

_MAX_CLIPPED_TOLD = 5


class Executor:
    """For all studies; used by the event loop alone."""

    def __init__(self, settings: Settings, cluster: Cluster, stores: Stores) -> None:
        self._settings, self._cluster, self._stores = settings, cluster, stores
        self._promoter = Promoter(cluster, stores)

    async def execute(
        self, action: Action, study: Study, place: Location | None, own: OwnWrites
    ) -> Sequence[StudyEvent]:
        """Do one action; returns what else a person should know. Raises StoreError, ClusterError and ProductionRefused.

        `place` is None only where the plan has nothing to do with the store.
        """
        if isinstance(action, PromotionAction):
            await self._promoter.execute(action, study)
            return []
        job = partial(names.round_name, study.name)
        match action:
            case RemoveWorkers(number):
                await self._cluster.delete_job(study.namespace, job(number))
                return []
            case RemoveWorker(name):
                await self._cluster.delete_pod(study.namespace, name)
                return []
            case ScaleWorkers(number, replicas, suspended):
                change = _scaled(replicas, suspended)
                own.job = await self._cluster.patch_job(study.namespace, job(number), change)
                return []
        if place is None:
            raise TypeError(f"no store for {action!r}")
        current = study_name(study.namespace, study.name, study.uid, study.status.round)
        stored, claims, call = self._stores.rounds(place), self._stores.claims(place), self._stores.call
        match action:
            case StartRound():
                # First what may be refused: nothing is made of a round that names a study that is not there.
                points, clipped = await self._stores.open.call(place, partial(_starting_points, action))
                await self._cluster.apply(round_config_map(action.resolved))
                await self._stores.open.call(place, partial(self._start_round, action, points))
                told = clipped[:_MAX_CLIPPED_TOLD]
                return [StudyEvent(reasons.WARM_START_CLIPPED, change, "Warning") for change in told]
            case StartWorkers(resolved, replicas):
                defaults = self._worker_defaults(place)
                await self._cluster.create_job(worker_job(resolved, replicas, defaults, study.queue_labels))
            case SetBudget(budget):
                await call(stored.set_budget, current, budget)
            case SetRetain(retain):
                for entry in study.status.rounds:
                    await call(stored.set_retain, entry.study, retain)
                if study.status.verification is not None:
                    await call(stored.set_retain, study.status.verification.study, retain)
            case SetSelection(selection):
                await self._stores.open.call(place, lambda store: rounds.set_selection(store, current, selection))
            case SetPaused(paused, of):
                await call(stored.set_paused, of or current, paused)
            case ReleaseTrials(worker, killed, of):
                await call(lambda: claims.release(stored.find(of or current), worker, killed=killed))
            case KeepReferences(name):
                found = await self._stores.open.call(place, partial(rounds.references, name=name))
                if found:
                    kept = features.Place(self._stores.owner, study.namespace, study.uid)
                    await call(features.keep_references, self._stores.admin_engine(), kept, found, whole=True)
            case FailTrials(worker, reason, of):
                await call(lambda: claims.fail_trials_of(stored.find(of or current), worker, reason))
        return []

    def _worker_defaults(self, place: Location) -> WorkerDefaults:
        return WorkerDefaults(
            self._settings.worker_image,
            self._settings.image_pull_policy,
            place.secret,
            place.key,
            self._settings.worker_pod_templates,
        )

    def _start_round(self, action: StartRound, points: Sequence[Point], store: Store) -> None:
        resolved = action.resolved
        rounds.start(
            store,
            resolved,
            digest=spec_digest(resolved.spec),
            budget=action.budget,
            owner=Owner(self._stores.owner, resolved.spec.deletion_policy == "Retain"),
            points=points,
            warm_from=action.warm_from,
            incumbent=action.incumbent is not None and bool(points),
        )


def _starting_points(action: StartRound, store: Store) -> tuple[list[Point], list[str]]:
    """What the round begins with, and a sentence for each thing that was moved into its space.

    Raises UnknownEarlierStudy.
    """
    spec = action.resolved.spec
    if action.warm_from is None:
        return begin_with(store, action.resolved)
    if not action.warm_best:
        return [], []
    trials = store.load_study(action.warm_from).get_trials(deepcopy=False)
    known = best_parameters(spec, trials, action.warm_best)
    if action.incumbent is not None:
        study, number = action.incumbent
        known.insert(0, dict(store.load_study(study).get_trials(deepcopy=False)[number].params))
    return starting_points(spec.parameters, known)


def _scaled(replicas: int, suspended: bool) -> dict[str, Any]:
    """With the mark by which a later look tells the operator's suspension from that of others."""
    return {
        "metadata": {"annotations": {names.SUSPENDED_ANNOTATION: "true" if suspended else None}},
        "spec": {"parallelism": replicas, "completions": replicas, "suspend": suspended},
    }
