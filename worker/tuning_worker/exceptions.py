"""What can end a trial, or a worker, besides success.

WorkerError
├── InvalidSettings     the environment lacks something the worker needs
├── ObjectiveRejected   the objective cannot run at all, whatever the parameters
└── TrialFailed         this trial failed, for a reason its author should read
TrialInterrupted        raised into the running objective from outside; not an Exception, so that
                        objectives which catch everything do not swallow it
"""


class WorkerError(Exception):
    """Base of this package's errors."""


class InvalidSettings(WorkerError):
    """The environment lacks something, or holds something unreadable."""


class ObjectiveRejected(WorkerError):
    """No trial could run: a class or data set is not there, a metric is unknown."""


class TrialFailed(WorkerError):
    """The trial failed; the text becomes its failure reason."""


class TrialInterrupted(BaseException):
    """The trial was stopped from outside. `failure` is the reason of a trial that has failed; without one the
    trial is put back."""

    def __init__(self, message: str, failure: str | None = None) -> None:
        super().__init__(message)
        self.failure = failure
