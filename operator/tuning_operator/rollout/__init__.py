"""The objects by which parameters reach production: Jobs that check or bring them, the target that is rolled, and the
canary beside it."""
