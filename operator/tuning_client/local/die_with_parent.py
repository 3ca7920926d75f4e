"""Runs a worker that does not outlive the run: the kernel tells it to stop when its parent is gone, however it went."""

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent = int(sys.argv.pop(1))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it was gone before the kernel was asked
        sys.exit(128 + signal.SIGTERM)
    runpy.run_module("tuning_worker", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
