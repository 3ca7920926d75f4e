"""Where studies live: Optuna's tables and ours beside them, the claim of a trial, progress, and tenants."""
