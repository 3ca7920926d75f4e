"""Keeps with a round the sample that it is tuned on, for studies that watch their features in production."""

import optuna
import structlog

from tuning_study.attributes import REFERENCE_ATTRIBUTE
from tuning_study.round import ResolvedRound
from tuning_worker.run import Objective

log = structlog.get_logger()


def keep_reference(study: optuna.Study, resolved: ResolvedRound, objective: Objective) -> None:
    """As the bins and counts of each feature, once for all workers; nothing of a row can be told from them."""
    production = resolved.spec.production
    if production is None or production.drift is None or REFERENCE_ATTRIBUTE in study.user_attrs:
        return
    references = objective.references(production.drift.features)
    if not references:
        return
    try:
        study.set_user_attr(REFERENCE_ATTRIBUTE, {name: found.document() for name, found in references.items()})
    except Exception as error:  # a store that takes no text so long; the round itself needs nothing of it
        log.warning("the features of the data are not kept: drift is not watched", error=str(error))
