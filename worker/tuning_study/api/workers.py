"""`spec.workers`: the pods that run the trials."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

from tuning_study.api.field_types import FreeObject
from tuning_study.api.rules import Model, Rule

_MAX_VALUE = 32 * 1024  # characters of an environment variable


def _text_value(given: dict[str, Any]) -> dict[str, Any]:
    value = given.get("value", "")
    if not isinstance(value, str):
        raise ValueError(f"the value of {given.get('name')} is no text: quote it, as in value: {str(value)!r}")
    if len(value) > _MAX_VALUE:
        raise ValueError(f"the value of {given.get('name')} has {len(value)} characters; write at most {_MAX_VALUE}")
    return given


EnvVar = Annotated[
    dict[str, Any],
    AfterValidator(_text_value),
    WithJsonSchema(
        {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {
                "value": {
                    "type": "string",
                    "maxLength": _MAX_VALUE,
                    "description": "The variable's text. Numbers and booleans need quotes. Example: '10'.",
                }
            },
        }
    ),
]
"""A container's environment variable. A number without quotes is the commonest mistake in one."""


class Artifacts(Model):
    """What trials leave in the folder $TUNING_ARTIFACTS_DIR, such as models. If left out, the best three trials' files
    stay."""

    keep: int = Field(
        3,
        ge=1,
        le=1000,
        description="Of how many trials the files stay: the best so far, and with several objectives the Pareto front "
        "first. Default: 3.",
    )


class Workers(Model):
    """The pods that run the trials, each one trial after another. Changes other than to `replicas` take effect once
    no worker is running."""

    replicas: int = Field(
        1,
        ge=0,
        le=1000,
        description="Number of workers. Each runs one trial at a time. `kubectl scale` sets it too. Default: 1.",
    )
    min_replicas: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="In a Kueue queue: the smallest number of workers to start with when there is no room for all "
        "`replicas`. If left out, the study waits until there is room for all. Example: 1.",
    )
    shared_memory: str = Field(
        "1Gi",
        max_length=32,
        pattern=r"^(0|[1-9][0-9]*(\.[0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?)$",
        description="Size of /dev/shm, through which processes of a worker exchange data, such as PyTorch's data "
        "loaders. Its contents count as memory of the worker. 0 keeps the container runtime's own size, usually 64 "
        "MB. Default: 1Gi.",
    )
    image: str | None = Field(
        None,
        min_length=1,
        max_length=512,
        description="Container image of the workers, built from this project's worker image. If left out, the "
        "operator's default image is used. Example: example.com/team/train:1.2.",
    )
    resources: FreeObject = Field(
        default_factory=dict,
        description="CPU and memory requests and limits, as in a Pod's container. Numeric libraries use as many "
        "threads as the CPU limit, rounded up, or one thread without a limit. If left out, there are none. Example: "
        "{limits: {cpu: 2, memory: 4Gi}}.",
    )
    env: list[EnvVar] = Field(
        default_factory=list,
        max_length=128,
        description="Environment variables, as in a Pod's container. They override the operator's own. If left out, "
        'only the operator\'s own are set. Example: [{name: EPOCHS, value: "10"}].',
    )
    volumes: list[FreeObject] = Field(
        default_factory=list,
        max_length=64,
        description="Further volumes, as in a Pod. If left out, there are only the operator's own. Example: [{name: "
        "data, persistentVolumeClaim: {claimName: digits}}].",
    )
    volume_mounts: list[FreeObject] = Field(
        default_factory=list,
        max_length=64,
        description="Where the worker mounts volumes, as in a Pod's container. If left out, there are only the "
        "operator's own. Example: [{name: data, mountPath: /data}].",
    )
    artifacts: Artifacts | None = None
    pod_template: FreeObject = Field(
        default_factory=dict,
        description="A patch of the worker's pod template. A null removes a field, and lists of named objects merge "
        "by name. Client-side `kubectl apply` drops nulls: use `kubectl apply --server-side`. If left out, nothing is "
        'changed. Example: {spec: {nodeSelector: {gpu: "true"}}}.',
    )

    @property
    def artifacts_kept(self) -> int:
        return (self.artifacts or Artifacts()).keep

    rules = (
        Rule(
            "!has(self.replicas) || self.replicas >= 1",
            "a study has at least one worker: to stop its workers set `suspend: true`",
            lambda w: w.replicas >= 1,
        ),
        Rule(
            "!has(self.minReplicas) || self.minReplicas <= (has(self.replicas) ? self.replicas : 1)",
            "minReplicas is how few of `replicas` may start: make it no larger",
            lambda w: w.min_replicas is None or w.min_replicas <= w.replicas,
        ),
    )
