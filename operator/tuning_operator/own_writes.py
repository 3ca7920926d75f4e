"""What this operator wrote last about one study, which stands in for a watch that does not show it yet."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tuning_operator.observe.observation import Study
from tuning_operator.observe.study import read_study, version_of
from tuning_study.api.status import TuningStudyStatus

_UNREAD = TuningStudyStatus()


@dataclass
class OwnWrites:
    """Forgetting it costs a look at an old state, whose decisions the API server refuses as conflicts."""

    status: TuningStudyStatus | None = None
    """As written last; None once the watch shows it, or something newer."""
    version: int = 0
    """Of the study since then."""
    job: Mapping[str, Any] | None = None
    """As changed last."""
    acted_at: float = 0.0
    """When an action was last carried out (monotonic)."""
    _known: Study | None = None  # with the spec, which costs time to read again

    def study(self, body: Mapping[str, Any]) -> Study:
        """The study as the watch shows it, with our own status where that is newer."""
        study = read_study(body, self._known)
        self._known = replace(study, status=_UNREAD)
        if self.status is not None and study.version < self.version:
            return replace(study, status=self.status, version=self.version)
        self.status = None
        return study

    def newest_job(self, seen: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """The Job as the watch shows it, or as we changed it if the watch lags behind."""
        ours = self.job
        lags = (
            seen is not None
            and ours is not None
            and seen["metadata"]["uid"] == ours["metadata"]["uid"]
            and version_of(seen) < version_of(ours)
        )
        if not lags:
            self.job = None
        return ours if lags else seen
