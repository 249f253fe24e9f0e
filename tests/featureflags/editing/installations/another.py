"""Another installation, as far as its answers go: a server on loopback that answers what a test wants."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "gdn_a-secret-that-is-nowhere"


class Other(ThreadingHTTPServer):
    """Answers what a test wants, in order; the last one again and again."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.asked: list[tuple[str, str, dict[str, str]]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Other

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, headers))
        answers = self.server.answers
        status, extra, body = answers[0] if len(answers) == 1 else answers.pop(0)
        self.send_response(status)
        for name, value in extra.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PATCH = do_GET  # noqa: N815 - names of http.server

    def log_message(self, *_args: object) -> None:
        """Nothing."""
