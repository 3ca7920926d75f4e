"""The live page for looking at studies: an HTTP server that reads a store and changes nothing in it.

`tuning dashboard` runs it on this machine. The page itself is tuning_report.page, the same as in a report.
"""
