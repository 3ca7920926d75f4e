"""Common ground of the programs that speak to Kubernetes: the operator, the exporter and the command."""
