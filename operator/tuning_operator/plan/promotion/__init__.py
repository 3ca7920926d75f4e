"""What becomes of verified parameters: kept as an object, judged by gates, brought to production, and back. Pure.

A step at a look. That production is to change is in the status before it does, so that an operator that takes over
goes on with it. First the ConfigMap in production changes, then the pods that read it.
"""
