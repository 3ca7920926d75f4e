"""Studies as a person meets them, on this machine or on a cluster: what the command and the Python package share."""
