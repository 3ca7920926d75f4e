"""What a program that speaks to Kubernetes raises.

KubeError
├── InvalidSettings     the environment lacks something
└── ClusterError        the API server refused, with its status code
    ├── NotFound
    ├── Conflict
    ├── Forbidden
    ├── Invalid         what was asked for makes no sense to it
    └── Unavailable     no answer, or one that asks to come back later
"""

import json


class KubeError(Exception):
    """Base of this package's errors."""


class InvalidSettings(KubeError):
    """The environment lacks something, or holds something unreadable."""


class ClusterError(KubeError):
    """The API server refused. `status` is its HTTP status, 0 without an answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class NotFound(ClusterError):
    """404"""


class Conflict(ClusterError):
    """409"""


class Forbidden(ClusterError):
    """403"""


class Invalid(ClusterError):
    """400, 422 or 500: will not be taken, however often it is asked for."""


class Unavailable(ClusterError):
    """No answer, 429 or above 500: passes by itself."""


def error_message(body: str) -> str:
    """What an API server says for people in its answer, without the rest of it."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body
