"""Servers that hold files, on this machine's loopback: `Shelf` over HTTP, `Bucket` for S3, `Sftp`.

Each has `url(name)`, `put(name, content)` and `get(name)`, and is up while its context lasts.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from zlib import crc32

from support import needs
from support.waiting import wait_until
from support.web import Reply, Request, Web

EXTRA = "stagerunner[remote]"
SUDDEN = 3
"""Seconds after which a server that is told to end is killed."""


class Shelf:
    """Files over HTTP. ranges: whether parts are given. lengths: whether it says how long a file is. fault: a reply in
    place of the right one, or None, for a request; it is asked each time."""

    def __init__(self, *, ranges: bool = True, lengths: bool = True) -> None:
        needs.module("fsspec", EXTRA)
        self.ranges, self.lengths = ranges, lengths
        self.fault: Callable[[Request], Reply | None] = lambda request: None
        self.files: dict[str, bytes] = {}
        self.web = Web(self._answer)

    def __enter__(self) -> Shelf:
        self.web.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.web.__exit__(*error)

    def url(self, name: str) -> str:
        return f"{self.web.url}/{name}"

    def put(self, name: str, content: bytes) -> None:
        self.files[name] = content

    def _answer(self, request: Request) -> Reply:
        if (fault := self.fault(request)) is not None:
            return fault
        content = self.files.get(request.target.partition("?")[0].lstrip("/"))
        if content is None:
            return Reply(404)
        headers = {"ETag": f'"{crc32(content)}"'}
        wanted = request.headers.get("range")
        if request.method == "HEAD":
            return Reply(200, b"", headers | {"Content-Length": str(len(content)) if self.lengths else None})
        if not self.lengths:
            return Reply(200, b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content), headers | CHUNKED)
        if wanted is None or not self.ranges:
            return Reply(200, content, headers)
        first, last = (int(number) for number in wanted.removeprefix("bytes=").split("-"))
        part = content[first : last + 1]
        return Reply(206, part, headers | {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(content)}"})


CHUNKED = {"Transfer-Encoding": "chunked", "Content-Length": None}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class _Server:
    """A server in a process of its own."""

    _process: subprocess.Popen[bytes] | None = None

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        folder.mkdir(parents=True)

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self.answers, seconds=30)

    def answers(self) -> bool:
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(SUDDEN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def __enter__(self) -> Any:
        self.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self.stop()


class Bucket(_Server):
    """An S3 bucket, kept by moto. environment: what a run needs to reach it."""

    def __init__(self, folder: Path) -> None:
        needs.module("s3fs", EXTRA)
        needs.module("moto", "moto[s3]")
        needs.module("flask_cors", "flask-cors")
        super().__init__(folder)
        self.environment = {
            "AWS_ACCESS_KEY_ID": "test-access",
            "AWS_SECRET_ACCESS_KEY": "test-secret-words",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
        }

    def command(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]

    def start(self) -> None:
        super().start()
        self._ask("PUT", "")

    def url(self, name: str) -> str:
        return f"s3://shelf/{name}"

    def put(self, name: str, content: bytes) -> None:
        self._ask("PUT", name, content)

    def get(self, name: str) -> bytes:
        return self._ask("GET", name)

    def names(self) -> list[str]:
        """Those of all objects, in order."""
        listed = self._ask("GET", "?list-type=2").decode()
        return [unquote(name) for name in re.findall(r"<Key>(.*?)</Key>", listed)]

    def _ask(self, method: str, name: str, content: bytes | None = None) -> bytes:
        place = f"http://127.0.0.1:{self.port}/shelf/{name if name[:1] == '?' else quote(name)}"
        # Any signature will do; without one nobody may read.
        headers = {"Content-Type": "application/octet-stream", "Authorization": "AWS test:test"}
        with urllib.request.urlopen(
            urllib.request.Request(place, content, headers, method=method), timeout=30
        ) as reply:
            found: bytes = reply.read()
        return found


class Sftp(_Server):
    """A folder behind OpenSSH's own server, with keys made for it. environment: what a run needs to reach it."""

    def __init__(self, folder: Path) -> None:
        needs.module("sshfs", EXTRA)
        self._program = needs.program("sshd", "openssh-server", "/usr/sbin")
        keygen = needs.program("ssh-keygen", "openssh-client")
        super().__init__(folder)
        self.files = folder / "files"
        self.files.mkdir()
        for key in ("host", "id"):
            subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
        home = folder / "home" / ".ssh"
        home.mkdir(parents=True, mode=0o700)
        (home / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {(folder / 'host.pub').read_text()}")
        (home / "config").write_text(f"Host 127.0.0.1\n  IdentityFile {folder / 'id'}\n")
        self.environment = {"HOME": str(home.parent)}
        (folder / "config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\n"
            f"AuthorizedKeysFile {folder / 'id.pub'}\nPidFile none\nStrictModes no\nUsePAM no\n"
            "PermitRootLogin yes\nPasswordAuthentication no\nSubsystem sftp internal-sftp\nMaxStartups 100\n"
        )

    def command(self) -> list[str]:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        return [str(self._program), "-D", "-e", "-f", str(self.folder / "config")]

    def url(self, name: str) -> str:
        return f"sftp://127.0.0.1:{self.port}{self.files / name}"

    def put(self, name: str, content: bytes) -> None:
        (self.files / name).write_bytes(content)

    def get(self, name: str) -> bytes:
        return (self.files / name).read_bytes()
