"""A store in the Redis of somebody's own machine: Optuna's journal of the trials, and the rounds beside it.

Who runs what changes by one transaction that watches the round and writes it again: of two that decided on the same
facts Redis carries out one, and the other looks again. There is no lock, so nobody can hold it past its time.
"""
