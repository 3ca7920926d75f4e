"""What tuning_operator raises besides the errors of tuning_kube and tuning_store."""


class SecretUnusable(Exception):
    """The Secret with a store's URL cannot be read or lacks its key; the text says what to do about it."""
