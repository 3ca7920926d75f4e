"""A ready study for a family of models. Called by `tuning init`."""
