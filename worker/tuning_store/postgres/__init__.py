"""An Optuna storage for PostgreSQL: Optuna's own tables, one round trip an operation, and nothing read twice."""
