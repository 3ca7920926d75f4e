"""What to do about a study, as a pure function of one observation: `decide.plan` is the list, the rest its concerns."""
