"""Seeds that are distinct by construction and can be had again from the study's seed and a trial's number."""

import hashlib


def study_seed(name: str) -> int:
    """The seed of a study that names none: the same for the same name (32 bits)."""
    return _digest(name)


def trial_seed(study: int, number: int, purpose: str = "objective") -> int:
    """The seed of trial `number`; the sampler and the objective draw from different ones (32 bits)."""
    return _digest(f"{study}/{number}/{purpose}")


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
