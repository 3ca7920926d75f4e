"""Tasks beside the studies' loops that the leading replica runs: each looks after one thing in the whole cluster."""
