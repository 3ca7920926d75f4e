"""What the trials of a round come to: which are feasible, which is best, and how it is told."""
