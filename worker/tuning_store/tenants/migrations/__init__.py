"""The numbered changes of the administrator's registry. See schema.migrations.

Several operators may carry out a step at the same moment: nobody holds a lock (registry.administering).
"""
