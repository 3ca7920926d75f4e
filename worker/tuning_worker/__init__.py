"""The process in a pod, or on a laptop: claim a trial, run the objective, report, until the round is over."""
