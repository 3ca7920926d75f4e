"""Samplers of our own, each beside the module that it needs; strategy builds them."""
