"""The receiver of docs/webhooks.md, as it stands there: it takes what is genuine and fresh, no more."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs import addresses, deliveries, outgoing, webhooks
from tests.house import free_port, wait_until

PAGE = Path(__file__).parents[1] / "docs" / "webhooks.md"
SECRET = webhooks.make_secret()


@pytest.fixture(scope="module")
def address():
    """Where the page's receiver listens."""
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    port = free_port()
    environment = {**os.environ, "WEBHOOK_SECRET": SECRET, "PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL)
    wait_until(lambda: is_open(port), what="the receiver")
    yield addresses.parse(f"http://127.0.0.1:{port}/")
    process.kill()
    process.wait()


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def send(address, secret=SECRET, age_seconds=0, body="{}", signed="{}"):
    parcel = deliveries.Parcel(1, 1, "test", "msg_1", "", signed, (webhooks.make_secret(), secret), 1)
    headers = deliveries.make_headers(parcel, int(time.time()) - age_seconds)
    return outgoing.post(address, body.encode(), headers, allow_private=True).status


def test_it_takes_what_is_genuine(address):
    assert send(address) == 204


@pytest.mark.parametrize(
    "change", [{"secret": webhooks.make_secret()}, {"age_seconds": 600}, {"body": '{"more": 1}'}]
)
def test_it_refuses_what_is_forged_or_old(address, change):
    assert send(address, **change) == 401
