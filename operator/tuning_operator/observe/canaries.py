"""What is known of canaries, kept between looks. The canary keeper looks at their counters and keeps what they come to;
the observer says which canaries there are, and asks for the verdict."""

from collections.abc import Iterable
from dataclasses import dataclass

from tuning_operator.observe.observation import CanaryTold, Study
from tuning_operator.rollout.canary import CanaryView
from tuning_operator.rollout.target import TargetView
from tuning_prometheus.canary import Matchers, matchers, pods_of
from tuning_study.api.canary import Canary
from tuning_study.api.production import PrometheusServer
from tuning_study.promotion.canary.analysis import CanaryState, is_over, judge
from tuning_study.promotion.canary.looks import Pods


@dataclass(frozen=True)
class Parameters:
    """Names of the ConfigMaps that the two sides serve with."""

    stable: str
    canary: str


@dataclass(frozen=True)
class ServingCanary:
    """A canary whose counters are to be looked at."""

    namespace: str
    study: str
    """The uid of the resource."""
    deployment: str
    """The uid of the canary's Deployment."""
    canary: Canary
    matchers: Matchers
    parameters: Parameters
    server: PrometheusServer | None
    ready: Pods


class Canaries:
    """For all studies; used by the event loop alone."""

    def __init__(self) -> None:
        self._serving: dict[str, ServingCanary] = {}  # by uid of the study
        self._known: dict[str, tuple[str, CanaryState]] = {}  # the state, and the Deployment's uid

    def serving(self) -> Iterable[ServingCanary]:
        return list(self._serving.values())

    def state_of(self, each: ServingCanary) -> CanaryState | None:
        """What is known of it; None where this operator has not looked yet."""
        deployment, state = self._known.get(each.study, ("", None))
        return state if deployment == each.deployment else None

    def keep(self, each: ServingCanary, state: CanaryState) -> None:
        self._known[each.study] = each.deployment, state

    def forget(self, uid: str) -> None:
        """The study is gone, or has no canary any more."""
        self._serving.pop(uid, None)
        self._known.pop(uid, None)

    def told(self, study: Study, canary: CanaryView | None, target: TargetView | None) -> CanaryTold | None:
        """What the canary has shown so far; None before anybody looked. From its pods' being ready on it is looked
        at."""
        promotion = study.spec.promotion if study.spec is not None else None
        asked = promotion.canary if promotion is not None else None
        parameters = _parameters(study)
        if study.spec is None or asked is None or canary is None or target is None or canary.ending or not parameters:
            self.forget(study.uid)
            return None
        known = self._serving.get(study.uid)
        begun = known is not None and known.deployment == canary.uid
        if begun or canary.complete:
            production = study.spec.production
            self._serving[study.uid] = each = ServingCanary(
                study.namespace,
                study.uid,
                canary.uid,
                asked,
                matchers(asked, study.namespace, pods_of(target.name), pods_of(canary.name)),
                parameters,
                production.prometheus if production is not None else None,
                Pods(target.ready, canary.ready),
            )
            state = self.state_of(each)
            if state is not None and state.looked is not None:
                return CanaryTold(judge(asked, state), state.started, over=is_over(asked, state))
        return None


def _parameters(study: Study) -> Parameters | None:
    status = study.status.promotion
    if status is None or status.stable is None or status.canary is None:
        return None
    return Parameters(status.stable, status.canary.parameters)
