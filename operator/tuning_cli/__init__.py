"""The `tuning` command: arguments in, text out. What it does is in tuning_client."""
