"""`python -m tuning_exporter`: the exporter's process."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
from aiohttp import web

from tuning_exporter.app import build_app
from tuning_exporter.authentication import Authentication, Tokens
from tuning_exporter.service_accounts import ServiceAccounts
from tuning_exporter.snapshot import SnapshotReader
from tuning_exporter.studies import StudyIndex
from tuning_exporter.tls import Certificate
from tuning_kube import environment, logs
from tuning_kube.client import Cluster
from tuning_kube.errors import InvalidSettings

log = structlog.get_logger()


@dataclass(frozen=True)
class Settings:
    """What the chart tells."""

    store_url: str
    tokens: Tokens
    audience: str | None
    """Of service accounts' tokens; None where these let nobody in."""
    certificate: Certificate | None
    """None where HTTP is served."""
    namespaces: Sequence[str]
    port: int


async def run(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    certificate = settings.certificate
    async with Cluster() as cluster:
        snapshots = SnapshotReader(cluster, settings.store_url, settings.namespaces)
        accounts = ServiceAccounts(cluster, settings.audience) if settings.audience is not None else None
        authentication = Authentication(settings.tokens, accounts)
        studies = StudyIndex(cluster, settings.namespaces)
        runner = web.AppRunner(
            build_app(cluster, snapshots, studies, snapshots.engine, authentication), access_log=None
        )
        await runner.setup()
        refreshing = asyncio.create_task(certificate.keep_fresh()) if certificate is not None else None
        try:
            context = certificate.context if certificate is not None else None
            await web.TCPSite(runner, port=settings.port, ssl_context=context).start()
            log.info("exporting", port=settings.port, tls=context is not None)
            await stop.wait()
        finally:
            if refreshing is not None:
                refreshing.cancel()
            await runner.cleanup()


def from_environment(variables: Mapping[str, str]) -> Settings:
    """Raises InvalidSettings."""
    token = partial(environment.token, Path(environment.required(variables, "TUNING_TOKEN_FILE")))
    token()  # told now, rather than to the first alert
    folder, tls = variables.get("TUNING_NAMESPACE_TOKENS"), variables.get("TUNING_TLS")
    namespaces = partial(environment.namespace_tokens, Path(folder)) if folder else dict
    namespaces()
    return Settings(
        store_url=environment.store_url(variables),
        tokens=Tokens(token, namespaces),
        audience=variables.get("TUNING_TOKEN_AUDIENCE") or None,
        certificate=Certificate(Path(tls)) if tls else None,
        namespaces=environment.watch_namespaces(variables),
        port=environment.port(variables),
    )


def main() -> int:
    logs.configure()
    try:
        settings = from_environment(os.environ)
    except InvalidSettings as error:
        log.error("the exporter cannot start", error=str(error))
        return 2
    asyncio.run(run(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
