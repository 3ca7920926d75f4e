"""The process that does a worker's work, as its supervisor starts it.

Signals have their usual meaning here, so that the objective and the processes it starts find what they expect; the
supervisor says stop through a socket.
"""

# isort: off
from tuning_worker import deferred  # noqa: F401 - acts before structlog and Optuna are imported
# isort: on

import faulthandler
import os
import signal
import sys
from contextlib import suppress

import structlog

from tuning_study.worker_contract import ExitCode
from tuning_worker import logs
from tuning_worker.exceptions import InvalidSettings
from tuning_worker.failures import describe
from tuning_worker.settings import from_environment
from tuning_worker.supervision import PREDECESSOR_VARIABLE, SupervisorLink, UnexpectedEnd
from tuning_worker.worker import work


def main() -> int:
    with suppress(PermissionError):  # it leads a session already
        os.setsid()  # an objective that signals its process group does not reach the supervisor
    # Whoever started us in the background may have had them ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    faulthandler.enable()  # a crash in a library's own code leaves a traceback in the log
    logs.configure()
    supervisor = SupervisorLink.from_environment()
    try:
        code = _work(supervisor)
    except BaseException as error:
        structlog.get_logger().error("the worker crashed", exc_info=True)
        supervisor.crashed(f"the worker crashed: {describe(error)}")
        return ExitCode.CRASHED
    supervisor.decided(code)
    return code


def _work(supervisor: SupervisorLink) -> ExitCode:
    log = structlog.get_logger()
    predecessor = UnexpectedEnd.from_environment(os.environ)
    os.environ.pop(PREDECESSOR_VARIABLE, None)
    try:
        settings = from_environment()
    except InvalidSettings as error:
        log.error("the worker cannot start", error=str(error))
        return ExitCode.INVALID_SETTINGS
    structlog.contextvars.bind_contextvars(worker=settings.worker, study=settings.round.study)
    log.info("worker starts")
    code = work(settings, supervisor, predecessor)
    log.info("worker ends", code=int(code))
    return code


if __name__ == "__main__":
    sys.exit(main())
