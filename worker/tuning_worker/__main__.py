"""`python -m tuning_worker`: what a worker's pod runs. Supervises the process that does the work."""

import sys

from tuning_worker.supervisor import supervise

if __name__ == "__main__":
    sys.exit(supervise())
