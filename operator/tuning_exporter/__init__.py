"""Tells Prometheus how studies go, and turns Alertmanager's alerts into requests for new rounds."""
