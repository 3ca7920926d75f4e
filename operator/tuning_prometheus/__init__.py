"""Asks Prometheus servers: one number for each query, or why there is none."""
