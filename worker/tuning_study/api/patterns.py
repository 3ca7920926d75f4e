"""Regular expressions of a manifest: RE2's, whose time grows with the line alone, so that none keeps a worker busy.

A metric's `pattern` is checked here when the manifest is read, and compiled here by the worker that searches lines.
"""

from typing import Any

VALUE, STEP = "value", "step"
"""The named groups of a metric's pattern: the number, and in which step it was reported."""


def compile_pattern(pattern: str) -> Any:
    """The expression as `re2` compiles it. Raises ValueError for one without a group `value`, and for none at all."""
    import re2  # only where a manifest has a pattern

    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options=options)
    except re2.error as error:
        (reason,) = error.args
        raise ValueError(reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)) from error
    if VALUE not in compiled.groupindex:
        raise ValueError(f"it has no group {VALUE!r}")
    return compiled


def pattern_problem(pattern: str) -> str | None:
    """Why the expression cannot read a metric; None if it can."""
    try:
        compile_pattern(pattern)
    except ValueError as problem:
        return str(problem)
    return None
