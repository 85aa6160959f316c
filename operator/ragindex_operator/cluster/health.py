"""What the kubelet and Prometheus ask. Nothing here waits for the database, nor for the API server."""

from __future__ import annotations

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST

from ragindex_operator.cluster.metrics import Metrics
from ragindex_operator.cluster.vital_signs import VitalSigns

_TEXT = "text/plain; charset=utf-8"


class HealthServer:
    """``/healthz``: whether all that ought to go on does. ``/readyz``: always, and whether this operator leads or
    stands by. ``/metrics``."""

    def __init__(self, vital_signs: VitalSigns, metrics: Metrics, host: str, port: int) -> None:
        class Handler(_Handler):
            answers = Answers(vital_signs, metrics)

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """The one that was free, where none was asked for."""
        return int(self._server.server_port)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Answers:
    def __init__(self, vital_signs: VitalSigns, metrics: Metrics) -> None:
        self._vital_signs = vital_signs
        self._metrics = metrics

    def to(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        match path:
            case "/healthz":
                failing = self._vital_signs.failing()
                status = HTTPStatus.SERVICE_UNAVAILABLE if failing else HTTPStatus.OK
                return status, _TEXT, ("\n".join(failing or ["ok"]) + "\n").encode()
            case "/readyz":
                return HTTPStatus.OK, _TEXT, b"leading\n" if self._metrics.leads else b"standby\n"
            case "/metrics":
                for loop, seconds in self._vital_signs.lags.items():
                    self._metrics.lagged(loop, seconds)
                return HTTPStatus.OK, CONTENT_TYPE_LATEST, self._metrics.exposition()
        return HTTPStatus.NOT_FOUND, _TEXT, b"not found\n"


class _Handler(BaseHTTPRequestHandler):
    answers: Answers
    timeout = 10

    def do_GET(self) -> None:
        status, content_type, body = self.answers.to(self.path.partition("?")[0])
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Probes come every few seconds."""
