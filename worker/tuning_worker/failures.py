"""An objective's error as its author reads it: what, where, and the last frames. Pure; called by trial and process."""

import sysconfig
import traceback
from pathlib import Path

_OURS = str(Path(__file__).parent)
_INSTALLED = ("site-packages", "dist-packages")
_OUTER, _INNER = 2, 8  # frames of a traceback
_LONGEST = 6000  # characters of a traceback


def describe(error: BaseException) -> str:
    """The error's type and text; some errors fail again when they are asked for their text."""
    name = type(error).__name__
    try:
        return f"{name}: {text}" if (text := str(error)) else name
    except BaseException:  # SystemExit too
        return f"{name}, whose text cannot be shown"


def describe_with_place(error: BaseException) -> str:
    """With the file and line of the innermost frame that is the objective's own: `KeyError: 'age' (train.py:12)`."""
    own = [frame for frame in frames_of(error) if not _is_installed(frame.filename)]
    return f"{describe(error)} ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else describe(error)


def format_traceback(error: BaseException) -> str:
    """The traceback without this package's frames; of a long one the outer and the inner frames."""
    frames = frames_of(error)
    left_out = len(frames) - _OUTER - _INNER
    if left_out > 0:
        told = [*traceback.format_list(frames[:_OUTER]), f"  … {left_out} frames more\n"]
        told += traceback.format_list(frames[-_INNER:])
    else:
        told = traceback.format_list(frames)
    try:
        told += traceback.format_exception_only(error)
    except BaseException:  # its text cannot be shown
        told.append(describe(error))
    text = "".join(told).rstrip()
    return text if len(text) <= _LONGEST else f"… {text[-_LONGEST:]}"


def exit_message(asked: SystemExit) -> str:
    """What `sys.exit(...)` in an objective tells its author."""
    if asked.code is None or isinstance(asked.code, int):
        return f"the objective ended its process with code {asked.code or 0}: remove sys.exit()"
    return f"the objective ended its process: {asked.code}"


def frames_of(error: BaseException) -> list[traceback.FrameSummary]:
    """The outermost first, without this package's."""
    return [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<frozen", _OURS))
    ]


def _is_installed(file: str) -> bool:
    return file.startswith(sysconfig.get_path("stdlib")) or any(part in Path(file).parts for part in _INSTALLED)
