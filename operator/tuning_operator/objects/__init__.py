"""Builders of the operator's objects that are not workers: a value in, a manifest out."""
