"""What a Prometheus says of models in production: one number for each query, or why there is none."""
