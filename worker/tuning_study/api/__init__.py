"""The TuningStudy resource: its spec and status as models, the rules between their fields, and the CRD made of them."""
