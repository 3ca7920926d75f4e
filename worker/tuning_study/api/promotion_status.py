"""`status.promotion`: what is in production, what is on its way there, and what keeps it out."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from tuning_study.api.rules import Model
from tuning_study.api.status_fields import Label, Message, Short

PromotionState = Literal[
    "Candidate", "Gated", "Held", "Staging", "Canary", "Promoting", "Stable", "RollingBack", "RolledBack"
]
CanaryDecision = Literal["Promote", "RollBack", "Hold"]
GateVerdict = Literal["Passed", "Refused", "Unknown"]
ROLLED_BACK_KEPT = 10


class GateStatus(Model):
    """One gate on the way to production."""

    name: Label = Field(
        description="What is asked: Verified, Constraints, Better, Drift, NotRolledBack, NotFrozen, Approved or "
        "Staging."
    )
    verdict: GateVerdict = Field(
        description="Passed, Refused, or Unknown while nobody can tell; only Passed lets the parameters through."
    )
    message: Short = Field("", description="Why, in numbers where there are some.")


class RolledBack(Model):
    """Parameters that were taken out of production."""

    parameters: Short = Field(description="Name of their ConfigMap.")
    reason: Label = Field("", description="Why they were. The record has all of it.")
    data: Short | None = Field(None, description="Fingerprint of the data set that they were tuned on, if known.")
    undecided: bool = Field(
        False, description="Whether nothing was shown against them: a canary's time was over, and nobody could tell."
    )


class Approval(Model):
    """A person's word that parameters are to go to production."""

    parameters: Short = Field(description="Name of their ConfigMap.")
    by: Short = Field(description="Who, as they said.")
    reason: Short = Field("", description="Why, in their words.")
    again: bool = Field(False, description="Whether although they were rolled back before.")

    @property
    def who(self) -> str:
        return f"{self.by}: {self.reason}" if self.reason else self.by


class CanaryEvidence(Model):
    """What one metric of the canary says. None of the numbers is there before something was compared."""

    metric: Label = Field(description="As `spec.promotion.canary` calls it.")
    outcome: Literal["Harm", "Better", "Unknown"] = Field(
        description="Harm: the canary is worse. Better: it is not worse by the margin. Unknown: neither is shown."
    )
    samples: int = Field(0, description="Requests on the canary.")
    stable_samples: int = Field(0, description="Requests on stable, in the same time.")
    e: float | None = Field(None, description="Evidence of harm, as an e-value.")
    threshold: float | None = Field(None, description="Evidence that is harm.")
    effect: float | None = Field(None, description="Share of bad requests on the canary, less that on stable.")
    at_least: float | None = Field(None, description="Lower end of the effect's interval, for all looks at once.")
    at_most: float | None = Field(None, description="Upper end of the effect's interval, for all looks at once.")


class CanaryStatus(Model):
    """The candidate's pods beside the target's, and what comparing them says. Of the last one, after its end."""

    parameters: Short = Field(description="Name of the candidate's ConfigMap.")
    deployment: Short | None = Field(None, description="The Deployment of its pods; none once it is taken away.")
    since: datetime | None = Field(None, description="When all its pods were ready.")
    verdict: Literal["Harm", "Better", "Unknown"] = Field("Unknown", description="Of all metrics together.")
    cause: Label = Field("", description="Why, in a word.")
    message: Message = Field("", description="Why, in numbers.")
    decision: CanaryDecision | None = Field(
        None, description="What came of it, or with `dryRun` would have; none while it goes on."
    )
    evidence: list[CanaryEvidence] = Field(
        default_factory=list, max_length=8, description="What each of its metrics says."
    )


class PromotionStatus(Model):
    """What is in production, and what is on its way there. The names are those of ConfigMaps."""

    state: PromotionState = Field(
        "Stable",
        description="Candidate: a round has left new parameters. Gated: a gate keeps them out. Staging: the check of "
        "`spec.promotion.staging` runs. Canary: its pods serve beside the target's. Held: the message names what is in "
        "the way, or that a canary has shown nothing. Promoting, RollingBack: the target is being rolled. Stable, "
        "RolledBack: done.",
    )
    message: Message = Field("", description="The state in words.")
    since: datetime | None = Field(None, description="When the state began.")
    changed: datetime | None = Field(
        None, description="When other parameters last began to go to production: pods read them from then on."
    )
    stable: Short | None = Field(
        None, description="The parameters in production. While rolling back, those that are gone back to."
    )
    stable_since: datetime | None = Field(None, description="When they went to production, or came back.")
    previous: Short | None = Field(None, description="Those that were in production before: a rollback goes there.")
    candidate: Short | None = Field(
        None, description="Those that are on their way to production, or, while rolling back, out of it."
    )
    gates: list[GateStatus] = Field(default_factory=list, max_length=8, description="The gates of the candidate.")
    approval: Approval | None = None
    canary: CanaryStatus | None = None
    answer: Message = Field("", description="Why the last request of a person was not done. Empty if it was.")
    rolled_back: list[RolledBack] = Field(
        default_factory=list,
        max_length=ROLLED_BACK_KEPT,
        description="The last ten that were rolled back, or kept out by a canary. They are not promoted again for "
        "the same data, unless a person says so.",
    )
    steps: int = Field(0, description="Number of changes of state so far.")
    last_promote: Short | None = Field(
        None, description="Digest of the annotation tuning.dev/promote when it was last read."
    )
    last_rollback: Short | None = Field(
        None, description="Digest of the annotation tuning.dev/rollback when it was last read."
    )

    @property
    def is_moving(self) -> bool:
        """Whether what serves is being changed, one way or the other."""
        return self.state in ("Canary", "Promoting", "RollingBack")
