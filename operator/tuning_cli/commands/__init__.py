"""The commands of `tuning`, by what a person wants: to run, to look, to change, to look after the store."""
