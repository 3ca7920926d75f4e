"""Where a store is: a URL in a mounted Secret, whose password may change while we run, and the authority it trusts."""

from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from tuning_store.exceptions import StoreError, StoreUnavailable
from tuning_store.urls import backend, libpq_arguments

CERTIFICATE = "ca.crt"
"""Beside the URL's file, and in a Secret beside the URL's key: who signed the server's certificate."""

ONLY_POSTGRESQL = "a cluster's studies live in PostgreSQL: write postgresql://USER:PASSWORD@HOST/DATABASE"


def read(file: Path) -> str:
    """The URL that stands in `file` now.

    Raises StoreUnavailable, as what mounts the file may still be writing it, and StoreError for another database.
    """
    try:
        url = file.read_text(errors="replace").strip()
    except OSError as error:
        raise StoreUnavailable(f"the store's URL cannot be read from {file}: {error.strerror}") from error
    if backend(url) not in ("", "postgresql"):
        raise StoreError(f"{file} holds a {backend(url)}:// URL; {ONLY_POSTGRESQL}")
    try:
        libpq_arguments(url)
    except ValueError:  # whose text may quote the password
        raise StoreUnavailable(f"{file} does not hold a URL; write postgresql://USER:PASSWORD@HOST/DATABASE") from None
    certificate = file.parent / CERTIFICATE
    return trusting(url, certificate) if certificate.exists() else url


def is_postgresql(url: str) -> bool:
    """Whether a cluster may keep studies there: other stores have no tenants, and are for somebody's own machine."""
    return backend(url) == "postgresql"


def trusting(url: str, certificate: Path) -> str:
    """`url` with the server's certificate checked against this authority's, as far as the URL itself does not say."""
    address, _, query = url.partition("?")
    given = parse_qsl(query, keep_blank_values=True)
    wanted = {"sslmode": "verify-full", "sslrootcert": str(certificate)}
    added = [(key, value) for key, value in wanted.items() if key not in dict(given)]
    return f"{address}?{urlencode([*given, *added])}"


def portable(url: str) -> tuple[str, str | None]:
    """`url` without the path of a certificate, which means nothing elsewhere, and the certificate itself."""
    from sqlalchemy.engine import make_url

    given = make_url(url)
    path = given.query.get("sslrootcert")
    if not isinstance(path, str) or path == "system":
        return url, None
    bare = given.difference_update_query(["sslrootcert"]).render_as_string(hide_password=False)
    return bare, Path(path).read_text()
