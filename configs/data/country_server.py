"""A small service for ask-a-service.yaml: GET /countries/DE says Germany.

Like any service, it is sometimes too busy: every other request with a number that ends in 0 is refused.

usage: python country_server.py [PORT]      0, the default, lets the system choose; the URL is printed
"""

from __future__ import annotations

import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

NAMES = {"DE": "Germany", "FR": "France", "NO": "Norway", "SE": "Sweden", "TR": "Türkiye"}
ASKED: Counter[str] = Counter()


class Countries(BaseHTTPRequestHandler):
    """Answers one request. Of all countries, it doesn't know US."""

    def do_GET(self) -> None:
        name = NAMES.get(urlsplit(self.path).path.removeprefix("/countries/"), "")
        status = 503 if self._busy() else 200 if name else 404
        self.send_response(status)
        self.end_headers()
        self.wfile.write(name.encode() if status == 200 else b"")

    def _busy(self) -> bool:
        ASKED[self.path] += 1
        return self.path.endswith("0") and ASKED[self.path] % 2 == 1

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Takes as many callers at once as come: five, the default, makes the others wait a second each."""

    request_queue_size = 128


def server(port: int = 0) -> ThreadingHTTPServer:
    """Bound and listening; `serve_forever()` makes it answer."""
    return Server(("127.0.0.1", port), Countries)


if __name__ == "__main__":
    with server(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as serving:
        print(f"http://127.0.0.1:{serving.server_port}", flush=True)
        serving.serve_forever()
