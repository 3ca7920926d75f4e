"""A store in any SQL database: our tables beside Optuna's, and the interfaces of a store as statements on them.

The whole store on MySQL and SQLite; on PostgreSQL what is not asked for with every trial.
"""
