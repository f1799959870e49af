"""`labctl alerts test`: one message over each way, and the truth about what became of it."""

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from labctl.cli.app import run
from tests.stations import CONFIG


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200 if self.path == "/well" else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    bodies: list[bytes] = []
    with HTTPServer(("127.0.0.1", 0), Handler) as served:
        served.bodies = bodies  # type: ignore[attr-defined]
        thread = threading.Thread(target=served.serve_forever, args=(0.01,))
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def call(config: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["labctl", "--config", str(config), "alerts", "test"])
    return run()


def written(folder: Path, alerts: str) -> Path:
    path = folder / "config.toml"
    path.write_text(CONFIG.read_text("utf-8") + alerts, "utf-8")
    return path


def test_each_way_is_tried_and_told(
    server: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    hook = f'\n[alerts.webhook]\nurl = "http://127.0.0.1:{server.server_port}/'
    assert call(written(tmp_path, f'{hook}well"\n'), monkeypatch) == 0
    assert capfd.readouterr().out == "webhook: delivered.\n"
    assert b"This is a test of the alerts" in server.bodies[0]  # type: ignore[attr-defined]
    mail = '\n[alerts.mail]\nhost = "127.0.0.1"\nport = 1\nsender = "a@b.org"\nto = ["c@d.org"]\n'
    assert call(written(tmp_path, f'{hook}ill"\n{mail}'), monkeypatch) == 1
    told = capfd.readouterr().err
    assert "mail: The mail server 127.0.0.1 did not take an alert: " in told
    assert "webhook: The webhook at 127.0.0.1 did not take an alert: it answered with status 500." in told


def test_a_configuration_without_a_way_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call(written(tmp_path, ""), monkeypatch) == 1
    assert "names no way for alerts" in capfd.readouterr().err
