"""Alerts to a webhook, against servers: what is posted, statuses, TLS, secrets, and servers that hang or never end."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from labctl.alerts.channel import Undelivered
from labctl.alerts.webhook import Webhook
from labctl.settings import WebhookConfig

from .servers import ME, Authority, Posts, Serve, alert, one, tcp_server


def webhook(folder: Path, **keys: Any) -> Webhook:
    return Webhook(WebhookConfig.model_validate(keys), folder)


async def test_an_alert_is_posted_over_tls_to_a_secret_address_with_a_secret_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    authority, posts = Authority.of(tmp_path), Posts()
    async with tcp_server(posts.serve, authority.server) as port:
        monkeypatch.setenv("HOOK", f"https://127.0.0.1:{port}/T0/s3cret")
        monkeypatch.setenv("TOKEN", "t0ken")
        with caplog.at_level(logging.INFO):
            await webhook(tmp_path, url="env:HOOK", token="env:TOKEN", ca="ca.pem").send(ME, one(alert(), more=2))
    (head,), (body,) = posts.heads, posts.bodies
    assert head.startswith("POST /T0/s3cret HTTP/1.1\r\n")
    assert "Authorization: Bearer t0ken\r\n" in head
    said = json.loads(body)
    assert {key: said[key] for key in ("schema", "site", "host", "more", "lost")} == {
        "schema": 1, "site": "demo", "host": "pc", "more": 2, "lost": 0,
    }  # fmt: skip
    assert said["alerts"][0]["alarm"]["sentence"] == "The voltage is above 4.3 V."
    assert said["alerts"][0] | {"alarm": 0} == {
        "change": "raised", "said_unix_second": 1_795_258_567.0, "alarm": 0, "times": 1,
    }  # fmt: skip
    assert said["text"].startswith("ALARM at A1, voltage, raised ")
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("status", ["500 Oops", "404 Not Found", "302 Found\r\nLocation: http://127.0.0.1:1/"])
async def test_a_status_that_is_no_success_is_told(status: str, tmp_path: Path) -> None:
    posts = Posts((status,))
    async with tcp_server(posts.serve) as port:
        with pytest.raises(Undelivered, match=rf"^The webhook at 127\.0\.0\.1 .*status {status[:3]}\."):
            await webhook(tmp_path, url=f"http://127.0.0.1:{port}/x").send(ME, one())
    assert len(posts.bodies) == 1


async def _silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _endless_head(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: " + b"y" * 60_000)
        await writer.drain()


async def _garbage(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x16\x03\x01\xff\xff\r\n\r\n")
    await writer.drain()


async def test_an_endless_answer_is_not_read(tmp_path: Path) -> None:
    posts = Posts(("200 OK",), tail=b"\r\nContent-Length: 100000000000\r\n\r\n" + b"x" * 100_000)
    async with tcp_server(posts.serve) as port:
        await webhook(tmp_path, url=f"http://127.0.0.1:{port}/").send(ME, one())


@pytest.mark.parametrize("server", [_endless_head, _garbage])
async def test_an_answer_that_is_none_is_told(server: Serve, tmp_path: Path) -> None:
    async with tcp_server(server) as port:
        with pytest.raises(Undelivered, match="The webhook at 127"):
            await webhook(tmp_path, url=f"http://127.0.0.1:{port}/s3cret").send(ME, one())


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_server_that_hangs_is_let_go_of(scheme: str, tmp_path: Path) -> None:
    async with tcp_server(_silent) as port:  # over https it never answers the handshake
        config = WebhookConfig(url=f"{scheme}://127.0.0.1:{port}/")
        with pytest.raises(Undelivered, match="Timeout"):
            await Webhook(config, tmp_path, patience=0.03).send(ME, one())


async def test_whoever_has_no_patience_may_cancel_it(tmp_path: Path) -> None:
    async with tcp_server(_silent) as port:
        sending = asyncio.create_task(webhook(tmp_path, url=f"http://127.0.0.1:{port}/").send(ME, one()))
        done, _ = await asyncio.wait([sending], timeout=0.05)
        assert not done
        sending.cancel()
        async with asyncio.timeout(1.0):
            await asyncio.wait([sending])
        assert sending.cancelled()


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://hooks.example.org/s3cret", "must begin with https"),
        ("ftp://127.0.0.1/s3cret", "must begin with https"),
        ("s3cret", "must begin with https"),
        ("https://[::1/s3cret", "its address is none"),
        ("https://127.0.0.1:99999/s3cret", "its address is none"),
        ("https://127.0.0.1:1/s3cret", "did not take"),
        ("https:///s3cret", "did not take"),
        ("http://localhost.example.org/s3cret", "must begin with https"),
    ],
)
async def test_a_secret_address_that_cannot_be_used_is_refused_without_saying_it(
    address: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", address)
    with pytest.raises(Undelivered, match=why) as caught:
        await webhook(tmp_path, url="env:HOOK").send(ME, one())
    assert "s3cret" not in str(caught.value)
