"""What the chart tells its programs by their environment. Each function raises InvalidSettings, naming the variable."""

from collections.abc import Mapping
from pathlib import Path

from tuning_kube.errors import InvalidSettings
from tuning_store import address
from tuning_store.exceptions import StoreError


def store_url(environment: Mapping[str, str]) -> str:
    """The administrator's URL: from a mounted Secret, or given."""
    file = environment.get("TUNING_STORE_URL_FILE")
    if not file:
        return required(environment, "TUNING_STORE_URL")
    try:
        return address.read(Path(file))
    except StoreError as error:
        raise InvalidSettings(f"TUNING_STORE_URL_FILE: {error}") from error


def required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise InvalidSettings(f"the environment variable {name} is not set")
    return value


def watch_namespaces(environment: Mapping[str, str]) -> tuple[str, ...]:
    """All when empty."""
    return tuple(filter(None, environment.get("TUNING_WATCH_NAMESPACES", "").split(",")))


def port(environment: Mapping[str, str]) -> int:
    """Of the program's own HTTP."""
    text = environment.get("TUNING_PORT", "8080")
    if not text.isdigit() or not 0 <= int(text) < 65536:
        raise InvalidSettings(f"TUNING_PORT is {text!r}; write a port number")
    return int(text)


def token(file: Path) -> str:
    """What callers must give, of the file that TUNING_TOKEN_FILE names: as it stands in the mounted Secret now."""
    try:
        found = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"TUNING_TOKEN_FILE: the token cannot be read from {file}: {error}") from error
    if not found:
        raise InvalidSettings(f"TUNING_TOKEN_FILE: {file} is empty; write a token of some 40 random characters")
    return found


def namespace_tokens(folder: Path) -> dict[str, str]:
    """The token of each namespace, as they stand now in the folder of the mounted Secret: a file for each namespace.
    An empty file is no token."""
    try:
        files = [file for file in folder.iterdir() if not file.name.startswith(".")]  # the kubelet's own are `..data`
        found = {file.name: file.read_text(errors="replace").strip() for file in files}
    except OSError as error:
        raise InvalidSettings(f"TUNING_NAMESPACE_TOKENS: the tokens cannot be read from {folder}: {error}") from error
    return {namespace: token for namespace, token in found.items() if token}
