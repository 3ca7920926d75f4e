"""What tuning_operator raises besides the errors of tuning_kube and tuning_store."""


class ProductionRefused(Exception):
    """What is in production cannot be changed now. `reason` is one of those of a target."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class SecretUnusable(Exception):
    """The Secret with a store's URL cannot be read or lacks its key; the text says what to do about it."""
