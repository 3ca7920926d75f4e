"""The exporter's certificate, by the files of a mounted Secret: whoever connects after they were replaced gets the new
one. Used by the exporter's process."""

import asyncio
import ssl
from pathlib import Path

import structlog

from tuning_kube.errors import InvalidSettings

log = structlog.get_logger()

_BETWEEN_LOOKS = 10.0  # seconds


class Certificate:
    """`context` is the server's. Raises InvalidSettings where the files cannot be used at the start."""

    def __init__(self, folder: Path) -> None:
        self._certificate, self._key = folder / "tls.crt", folder / "tls.key"
        self.context = _context()
        self._served: tuple[bytes, bytes] | None = None
        try:
            self.refresh()
        except OSError as error:
            raise InvalidSettings(f"TUNING_TLS: {self._certificate} and {self._key}: {error}") from error

    def refresh(self) -> bool:
        """Serve what the files hold now. Returns whether it is new. Raises OSError (an SSLError is one) for files
        that cannot be used; then the certificate of before is served on."""
        found = self._certificate.read_bytes(), self._key.read_bytes()
        if found == self._served:
            return False
        _context().load_cert_chain(self._certificate, self._key)  # a context that refused a pair would be left without
        self.context.load_cert_chain(self._certificate, self._key)
        self._served = found
        return True

    async def keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(_BETWEEN_LOOKS)
            try:
                if self.refresh():
                    log.info("another certificate is served")
            except OSError as error:
                log.error("the certificate of before is served on: the files cannot be used", error=str(error))


def _context() -> ssl.SSLContext:
    return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
