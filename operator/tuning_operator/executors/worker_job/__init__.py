"""Long-lived workers as one Indexed Job of Kubernetes: its manifest, and what it and its pods tell."""
