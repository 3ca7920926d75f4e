"""Whether a canary does harm, may be promoted, or is not known to be either: counters become blocks (`looks`), blocks
become evidence (`evidence`, `split`), and evidence becomes a verdict (`analysis`)."""
