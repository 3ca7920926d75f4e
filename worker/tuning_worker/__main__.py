"""`python -m tuning_worker`: what a worker's pod runs."""

import sys

import structlog

from tuning_worker import logs
from tuning_worker.exceptions import InvalidSettings
from tuning_worker.settings import from_environment
from tuning_worker.worker import work


def main() -> int:
    logs.configure()
    log = structlog.get_logger()
    try:
        settings = from_environment()
    except InvalidSettings as error:
        log.error("the worker cannot start", error=str(error))
        return 2
    structlog.contextvars.bind_contextvars(worker=settings.worker, study=settings.round.study)
    log.info("worker starts")
    code = work(settings)
    log.info("worker ends", code=code)
    return code


if __name__ == "__main__":
    sys.exit(main())
