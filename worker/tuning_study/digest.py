"""A fingerprint of what is fixed for a round, so that a changed manifest is noticed."""

import hashlib
import json

from tuning_study.spec import TuningStudySpec


def spec_digest(spec: TuningStudySpec) -> str:
    text = json.dumps(spec.round_part(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
