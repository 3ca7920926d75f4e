"""The tables of a store: made and kept up to date by whoever administers it, before any worker starts."""

from tuning_store.schema.creation import create, import_ahead

__all__ = ["create", "import_ahead"]
