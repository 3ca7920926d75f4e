"""The optimiser: the search space, samplers and pruners, and what is wise to ask of them."""
