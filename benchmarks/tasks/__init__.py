"""The yardstick of `make bench-auto`: what samplers for few trials are compared on."""
