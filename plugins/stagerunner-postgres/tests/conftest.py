"""A PostgreSQL server of the tests' own, in a temporary folder, on a Unix socket. It is gone after them."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support import needs
from support.waiting import wait_until

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "16MB"}
"""No test is about the server's own promises."""


class Server:
    """A server in a folder, on which each test has a schema of its own."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self.folder = folder
        self.binaries = binaries
        other = ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
        self._user = ["setpriv", "--pdeathsig=INT", *other]  # it ends with the tests, however they end
        self.process: subprocess.Popen[bytes] | None = None
        self._schemas = 0

    def make(self) -> None:
        """It refuses to run as root, so its folder belongs to the user `postgres`."""
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        made = [str(self.binaries / "initdb"), "-D", str(self.folder / "data"), "-U", "postgres", "-A", "trust", "-N"]
        locale = ["--locale=C", "-E", "UTF8", "--no-instructions"]
        subprocess.run([*self._user, *made, *locale], cwd=self.folder, check=True, capture_output=True)

    def start(self) -> None:
        settings = {**FAST, "listen_addresses": "", "unix_socket_directories": str(self.folder)}
        options = [item for name, value in settings.items() for item in ("-c", f"{name}={value}")]
        with open(self.folder / "log", "ab") as log:
            command = [*self._user, str(self.binaries / "postgres"), "-D", str(self.folder / "data"), *options]
            self.process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        wait_until(self._answers, 30, "the server")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.dsn).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, signum: int = signal.SIGINT) -> None:
        """End it and every session: SIGINT is its fast shutdown, SIGQUIT its immediate one."""
        assert self.process is not None
        self.process.send_signal(signum)
        self.process.wait(timeout=30)

    @property
    def dsn(self) -> str:
        return f"host={self.folder} user=postgres dbname=postgres"

    def fresh(self) -> str:
        """The address of a new, empty schema. A database of its own would take a second."""
        self._schemas += 1
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA test{self._schemas}")
        return f"{self.dsn} options='-c search_path=test{self._schemas}'"


@pytest.fixture(scope="session")
def server():
    binary = needs.program("postgres", "postgresql", *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"))))
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # the path of a Unix socket has to be short
    found = Server(folder, binary.parent)
    found.make()
    found.start()
    yield found
    found.stop(signal.SIGQUIT)
    shutil.rmtree(folder)


class Database:
    """An empty schema of a database, and a connection to it."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.connection = psycopg.connect(dsn, autocommit=True)

    def __call__(self, query: str, *values: Any) -> list[Any]:
        cursor = self.connection.execute(query, values or None)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def database(server):
    found = Database(server.fresh())
    yield found
    found.connection.close()


class Place:
    """A folder in which chains are run by the command, as a user would."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self.folder = folder
        self.dsn = dsn

    def write(self, *stages: Any, source: Any = None, sink: Any = None, plugin: str = "", **keys: Any) -> None:
        (self.folder / "own.py").write_text("from stagerunner import *\n" + plugin)
        ends = {name: self.end(end) for name, end in (("source", source), ("sink", sink)) if end is not None}
        chain = {"version": 1, "plugins": ["./own.py"], "stages": list(stages), **ends, **keys}
        (self.folder / "chain.yaml").write_text(json.dumps(chain))

    def end(self, end: Any) -> Any:
        if not isinstance(end, dict) or "use" in end:
            return end
        return {"use": "postgres", "with": {"dsn": "${secret:PGURL}", **end}}

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "stagerunner", "run", "chain.yaml", "--progress", "none", *arguments]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "STAGERUNNER_"))}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=kept | {"PGURL": self.dsn} | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: str, expected: int = 0, **env: str) -> str:
        """Run it to its end; what it said. Fails if it ends otherwise than expected."""
        process = self.start(*arguments, **env)
        out, said = process.communicate(timeout=60)
        assert process.returncode == expected, said.decode()
        assert "Traceback" not in said.decode(), said.decode()
        return (out + said).decode()


@pytest.fixture
def place(tmp_path, database):
    return Place(tmp_path, database.dsn)
