"""Carries out what a plan says, in the cluster and in the store. Every action can be repeated without harm."""

from collections.abc import Sequence
from functools import partial

from tuning_operator import actions, names
from tuning_operator import conditions as why
from tuning_operator.actions import Action, Note, StartRound
from tuning_operator.cluster import Cluster
from tuning_operator.configmaps import round_config_map
from tuning_operator.jobs import WorkerDefaults, worker_job
from tuning_operator.observe import Memory
from tuning_operator.observed import Study
from tuning_operator.settings import Settings
from tuning_operator.stores import Location, Stores
from tuning_store import claims, rounds
from tuning_store.storage import Store
from tuning_study.digest import spec_digest
from tuning_study.results import candidates, ranked
from tuning_study.round import study_name
from tuning_study.space import Point, clip


class Actor:
    def __init__(self, settings: Settings, cluster: Cluster, stores: Stores) -> None:
        self._settings, self._cluster, self._stores = settings, cluster, stores

    async def act(self, action: Action, study: Study, location: Location | None, memory: Memory) -> list[Note]:
        """Do one action; returns what else a person should know. Raises StoreError and ClusterError."""
        if isinstance(action, actions.RemoveWorkers):
            await self._cluster.delete_job(study.namespace, names.round_name(study.name, action.number))
            return []
        if isinstance(action, actions.RemovePod):
            await self._cluster.delete_pod(study.namespace, action.name)
            return []
        assert location is not None  # a plan without a store has no other actions
        match action:
            case StartRound():
                await self._cluster.apply(round_config_map(action.resolved))
                changes = await self._stores.open.call(location, partial(self._start_round, action))
                return [Note(why.WARM_START_CLIPPED, change, "Warning") for change in changes[:5]]
            case actions.StartWorkers(resolved, replicas):
                defaults = WorkerDefaults(
                    self._settings.worker_image, self._settings.image_pull_policy, location.secret, location.key
                )
                await self._cluster.apply(worker_job(resolved, replicas, defaults, study.queue))
            case actions.ScaleWorkers(of, replicas, suspended):
                spec = {"parallelism": replicas, "completions": replicas, "suspend": suspended}
                memory.job = await self._cluster.patch_job(study.namespace, names.round_name(study.name, of), spec)
            case _:
                await self._stores.call(self._change_round, action, study, location)
        return []

    def _start_round(self, action: StartRound, store: Store) -> Sequence[str]:
        resolved = action.resolved
        wanted: list[Point] = list(resolved.spec.warm_start.points) if action.warm_from is None else []
        if action.warm_from is not None and action.warm_best:
            trials = store.load_study(action.warm_from).get_trials(deepcopy=False)
            by_number = {trial.number: trial.params for trial in trials}
            order = ranked(resolved.spec.objectives, candidates(trials))
            wanted += [by_number[entry.number] for entry in order[: action.warm_best]]
        points, changes = [], []
        for point in wanted:
            clipped, told = clip(resolved.spec.parameters, point) if resolved.spec.parameters else (point, [])
            points.append(clipped)
            changes += told
        rounds.start(
            store,
            resolved,
            digest=spec_digest(resolved.spec),
            budget=action.budget,
            keeper=rounds.Ownership(self._stores.owner, resolved.spec.deletion_policy == "Retain"),
            points=points,
        )
        return changes

    def _change_round(self, action: Action, study: Study, location: Location) -> None:
        engine = self._stores.engine(location)
        name = study_name(study.namespace, study.name, study.uid, study.status.round)
        match action:
            case actions.SetBudget(budget):
                rounds.set_budget(engine, name, budget)
            case actions.SetRetain(retain):
                for entry in study.status.rounds:
                    rounds.set_retain(engine, entry.study, retain)
            case actions.SetPaused(paused):
                rounds.set_paused(engine, name, paused)
            case actions.PutBack(worker, killed):
                claims.give_back(engine, rounds.find(engine, name), worker, killed=killed)
            case actions.FailTrial(worker, reason):
                claims.fail_running(engine, rounds.find(engine, name), worker, reason)
            case other:
                raise TypeError(f"no such action: {other!r}")
