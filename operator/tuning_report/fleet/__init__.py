"""All studies of a cluster as models in production: what somebody has to do, what waits, and how each one stands.

Pure: the dashboard reads the resources and the store, and shows what is made of them here.
"""
