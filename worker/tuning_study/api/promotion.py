"""`spec.promotion`: when verified parameters go to production, what reads them there, and when they come back."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from tuning_study.api.canary import Canary
from tuning_study.api.duration import Duration, SomeTime
from tuning_study.api.field_types import FreeObject, ObjectName
from tuning_study.api.rules import Model, Rule

LONGEST_TARGET = 30
"""Of a target with a canary: both sides' pods are told apart by their names, which have 63 characters at most."""


class Gates(Model):
    """What parameters have to show, beside those in production, before they replace them."""

    min_improvement: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0,
        description="How much better they are at least, in the unit of the objective and in its direction. Of several "
        "objectives: in one of them. Default: 0.0. Example: 0.005.",
    )
    confidence: Annotated[float, Field(ge=0.5, le=0.9999, allow_inf_nan=False)] = Field(
        0.95,
        description="How sure that has to be: parameters that are no better pass with at most 1 - confidence. "
        "Default: 0.95.",
    )


class DeploymentTarget(Model):
    """A Deployment in the study's namespace with the label `tuning.dev/promotable: "true"`, whose pods read the
    ConfigMap as environment or volume. Only the annotation `tuning.dev/parameters` of its pod template is written."""

    name: ObjectName = Field(description="Name of the Deployment. Example: digits-api.")


class RolloutTarget(Model):
    """A Rollout of Argo Rollouts in the study's namespace, as a Deployment is one: the same label, the same annotation.
    Its own steps and analyses are its own."""

    name: ObjectName = Field(description="Name of the Rollout. Example: digits-api.")


class ParametersJob(Model):
    """A Job in the study's namespace whose containers have the parameters as `TUNING_PARAM_<NAME>`. Delete one that
    has failed to have it run again."""

    template: FreeObject = Field(
        description="Pod template of the Job. Its restartPolicy is Never unless it says otherwise. Example: {spec: "
        "{containers: [{name: check, image: example.com/check:1}]}}."
    )
    deadline: SomeTime = Field(timedelta(hours=1), description="Time after which it has failed. Default: 1h.")

    rules = (
        Rule(
            None,
            "a Job runs containers, each with a name and an image: write `template: {spec: {containers: [{name: main, "
            "image: example.com/check:1}]}}`",
            lambda job: _runs_containers(job.template),
            field="template",
        ),
    )


def _runs_containers(template: Mapping[str, Any]) -> bool:
    spec = template.get("spec")
    containers = spec.get("containers") if isinstance(spec, Mapping) else None
    return (
        isinstance(containers, Sequence)
        and len(containers) > 0
        and all(
            isinstance(container, Mapping) and container.get("name") and container.get("image")
            for container in containers
        )
    )


class Target(Model):
    """What is rolled out when the parameters in production change. If left out, only the ConfigMap changes."""

    deployment: DeploymentTarget | None = None
    rollout: RolloutTarget | None = None
    job: ParametersJob | None = Field(
        None,
        description="For everything else: a Job that brings the parameters to wherever they serve, and back. It runs "
        "once for each change, after the ConfigMap in production has them; what it cannot do is a failed rollout.",
    )

    rules = (
        Rule(
            "[has(self.deployment), has(self.rollout), has(self.job)].filter(given, given).size() == 1",
            "a target is one thing: write `deployment: {name: …}`, `rollout: {name: …}` or `job: {template: …}`",
            lambda t: [t.deployment, t.rollout, t.job].count(None) == 2,
        ),
    )


class Staging(Model):
    """A check of one's own before parameters go to production. If left out, the gates are enough."""

    job: ParametersJob = Field(
        description="It passes if it ends without an error, and runs once for each set of parameters."
    )


class Promotion(Model):
    """Promotion: whether a round's verified parameters go to production, by which gates, and when they come back. What
    is in production is in the ConfigMap `<study>-params-stable`."""

    mode: Literal["Automatic", "Manual", "None"] = Field(
        "Manual",
        description="Automatic: as soon as every gate is passed. Manual: once a person says so, with `tuning promote`. "
        "None: never. Default: Manual.",
    )
    gates: Gates = Field(default_factory=Gates)
    staging: Staging | None = None
    target: Target | None = None
    canary: Canary | None = None
    watch: Duration = Field(
        timedelta(hours=1),
        description="Time after a promotion in which a degraded metric of `production` brings the parameters of before "
        "back. 0s for never. Default: 1h.",
    )

    rules = (
        Rule(
            "!has(self.canary) || (has(self.target) && has(self.target.deployment))",
            "a canary stands beside a Deployment: write `target: {deployment: {name: …}}`",
            lambda p: p.canary is None or (p.target is not None and p.target.deployment is not None),
            field="canary",
        ),
        Rule(
            "!has(self.canary) || !has(self.target) || !has(self.target.deployment) || "
            f"size(self.target.deployment.name) <= {LONGEST_TARGET}",
            f"the canary's pods are named after the target, whose name may have {LONGEST_TARGET} characters then",
            lambda p: (
                p.canary is None
                or p.target is None
                or p.target.deployment is None
                or len(p.target.deployment.name) <= LONGEST_TARGET
            ),
            field="canary",
        ),
    )
