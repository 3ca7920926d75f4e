"""The `tuning` command: studies on this machine and on a cluster, and reports of both."""
