"""Where studies live: Optuna's tables and ours beside them, the claim of a trial, progress, and tenants."""

from tuning_store.store import open_storage

__all__ = ["open_storage"]
