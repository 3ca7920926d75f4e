"""The metrics that a scrape tells, built anew each time from one snapshot. Pure."""
