"""Bayesian optimisation with a Gaussian process of our own, in numpy and scipy: Optuna's needs PyTorch.

`dimensions` finds the search space, and `space` turns its points into rows of numbers; `outcomes` turns trials into
costs; `start` picks the first points, `process` is the model, `acquisition` says what is worth trying; `proposal` puts
these together, and `sampler` is what Optuna calls.
"""
