"""The Kubernetes side: watches TuningStudies and keeps each one's worker Job, status and rounds as they should be."""
