"""How much a study that `tuning init` writes is to find out. Apart, so that the command's help loads nothing else."""

from enum import StrEnum


class Size(StrEnum):
    QUICK = "quick"
    NORMAL = "normal"
    THOROUGH = "thorough"
