"""Carries out what a plan says of verified parameters: their objects, what is in production, and the record."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from tuning_kube.client import Cluster
from tuning_kube.errors import Conflict, Forbidden, Invalid, NotFound
from tuning_operator import reasons
from tuning_operator.exceptions import ProductionRefused
from tuning_operator.objects import parameters_config_map
from tuning_operator.observe.observation import Study
from tuning_operator.plan.actions import (
    DropCanary,
    DropParameters,
    KeepParameters,
    MoveProduction,
    PromotionAction,
    Record,
    StartCanary,
    StartStaging,
    TryCanary,
    TryTarget,
)
from tuning_operator.plan.recording import OPERATOR
from tuning_operator.rollout import canary, parameters_job
from tuning_operator.rollout.parameters_job import Role
from tuning_operator.rollout.target import forbidden, missing, object_of, rolling
from tuning_operator.stores import Stores
from tuning_store import record
from tuning_store.record import Line
from tuning_study.api.promotion import ParametersJob, Target
from tuning_study.promotion.parameters import VerifiedParameters, read_document

_VERIFIED = "Verified"
_REFUSED: Mapping[Role, tuple[str, str]] = {
    "staging": ("spec.promotion.staging", reasons.STAGING_REFUSED),
    "promote": ("spec.promotion.target.job", reasons.TARGET_REFUSED),
}


class Promoter:
    """For all studies; used by the event loop alone. Every action can be repeated without harm."""

    def __init__(self, cluster: Cluster, stores: Stores) -> None:
        self._cluster, self._stores = cluster, stores

    async def execute(self, action: PromotionAction, study: Study) -> None:
        """Raises StoreError, ClusterError and ProductionRefused."""
        match action:
            case KeepParameters(found, at):
                message, evidence = f"round {found.round}: {found.name}", found.document()
                line = Line(_VERIFIED, message, at, OPERATOR, evidence, key=_key(found.name))
                await self._record(study, [line])
                await self._cluster.create_config_map(parameters_config_map.of_round(found, study.namespace, study.uid))
            case DropParameters(name):
                await self._cluster.delete_config_map(study.namespace, name)
                check = parameters_job.check_name(study.name, study.uid, name)
                await self._cluster.delete_job(study.namespace, check)
            case StartStaging(name, job):
                check = parameters_job.check_name(study.name, study.uid, name)
                await self._start_job(study, check, "staging", name, job, try_only=False)
            case TryCanary(target, name, replicas):
                await self._make_canary(study, target, name, replicas, try_only=True)
            case StartCanary(target, name, replicas):
                await self._make_canary(study, target, name, replicas, try_only=False)
            case DropCanary(name):
                await self._drop_canary(study, name)
            case TryTarget(target, name):
                await self._change(study, name, target, try_only=True)
            case MoveProduction(name, target, anew):
                await self._move(study, name, target, anew)
            case Record(lines):
                await self._record(study, lines)

    async def _move(self, study: Study, name: str, target: Target | None, anew: datetime | None) -> None:
        found = await self._known(study, name)
        await self._cluster.apply(parameters_config_map.in_production(found, study.namespace))
        if target is not None:
            await self._change(study, name, target, try_only=False, anew=anew)

    async def _change(
        self, study: Study, name: str, target: Target, *, try_only: bool, anew: datetime | None = None
    ) -> None:
        if target.job is not None:
            hook = parameters_job.hook_name(study.name, study.uid, name, study.status.promotion)
            await self._start_job(study, hook, "promote", name, target.job, try_only=try_only)
        elif (rolled := object_of(target)) is not None:
            await self._roll(rolling(rolled[0], study.namespace, rolled[1], name, anew=anew), try_only=try_only)

    async def _start_job(
        self, study: Study, name: str, role: Role, parameters: str, job: ParametersJob, *, try_only: bool
    ) -> None:
        whose = {"namespace": study.namespace, "name": study.name, "uid": study.uid}
        body = parameters_job.parameters_job(whose, name, role, parameters, job)
        try:
            await self._cluster.create_job(body, try_only=try_only)
        except (Invalid, Forbidden) as error:
            field, reason = _REFUSED[role]
            raise ProductionRefused(reason, f"the API server does not take the Job of {field}: {error}") from error

    async def _make_canary(self, study: Study, deployment: str, name: str, replicas: int, *, try_only: bool) -> None:
        try:
            found = await self._cluster.read_deployment(study.namespace, deployment)
            source = canary.Source(study.namespace, study.name, study.uid, name, replicas)
            await self._cluster.create_deployment(canary.canary_deployment(found, source), try_only=try_only)
        except NotFound as error:
            reason, told = missing("Deployment", deployment).problem or ("", str(error))
            raise ProductionRefused(reason, told) from error
        except Forbidden as error:
            raise _no_canaries(error) from error
        except Invalid as error:
            told = f"the API server does not take the Deployment of the canary: {error}"
            raise ProductionRefused(reasons.CANARY_REFUSED, told) from error

    async def _drop_canary(self, study: Study, name: str) -> None:
        try:
            await self._cluster.delete_deployment(study.namespace, name)
        except Forbidden as error:
            raise _no_canaries(error) from error

    async def _roll(self, body: Mapping[str, Any], *, try_only: bool) -> None:
        kind, name = body["kind"], body["metadata"]["name"]
        try:
            await self._cluster.apply_to_target(body, try_only=try_only)
        except Conflict as error:
            told = f"the {kind} {name} has another owner of the annotation that rolls it: {error}"
            raise ProductionRefused(reasons.TARGET_CONFLICT, told) from error
        except (NotFound, Invalid) as error:  # an apply would make what is not there, and lacks all that it needs
            raise ProductionRefused(reasons.TARGET_MISSING, f"the {kind} {name} cannot be rolled: {error}") from error
        except Forbidden as error:
            _, told = forbidden(kind, name).problem or ("", str(error))
            raise ProductionRefused(reasons.TARGET_FORBIDDEN, told) from error

    async def _known(self, study: Study, name: str) -> VerifiedParameters:
        kept = await self._stores.call(record.evidence_of, self._stores.admin_engine(), study.uid, _key(name))
        if kept is None:
            raise ProductionRefused(reasons.PARAMETERS_LOST, f"the record does not hold {name}")
        return read_document(kept)

    async def _record(self, study: Study, lines: Sequence[Line]) -> None:
        told = [replace(line, study=study.uid, name=study.name, namespace=study.namespace) for line in lines]
        await self._stores.call(record.add, self._stores.admin_engine(), self._stores.owner, told)


def _no_canaries(error: Forbidden) -> ProductionRefused:
    told = f"the operator may not make or delete Deployments of canaries: set the chart's promotion.canary: {error}"
    return ProductionRefused(reasons.TARGET_FORBIDDEN, told)


def _key(name: str) -> str:
    return f"verified/{name}"
