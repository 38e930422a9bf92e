"""The guarded request: to the address that was checked and no other, bounded whatever the other side does."""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from jobs import addresses, outgoing
from models import now
from tests.receivers import raw_receiver, receiver, say


def post(address, **more):
    return outgoing.post(addresses.parse(address), b"{}", {"webhook-id": "msg_1"}, allow_private=True, **more)


def test_a_request_arrives_with_its_body_its_headers_and_the_hosts_name(names):
    names["hooks.example"] = [["127.0.0.1"]]
    with receiver() as kept:
        kept.answers = [say(200, b"thank\n you")]
        port = kept.address.split(":")[2]
        answer = post(f"http://hooks.example:{port}?a=b")
    (path, headers, body) = kept.got[0]
    assert (answer.status, answer.is_success, answer.words) == (200, True, "thank you")
    assert (path, headers["host"], body) == ("/hook?a=b", f"hooks.example:{port.split('/')[0]}", b"{}")
    assert headers["webhook-id"] == "msg_1"


def test_a_private_address_is_never_connected_to():
    with receiver() as kept, pytest.raises(addresses.AddressRefused):
        outgoing.post(addresses.parse(kept.address), b"{}", {})
    assert kept.got == []


def test_a_name_that_turns_private_after_it_was_checked_is_refused(names):
    names["rebound.example"] = [["8.8.8.8"], ["127.0.0.1"]]
    with receiver() as kept:
        address = addresses.parse(f"http://rebound.example:{kept.address.split(':')[2]}")
        assert addresses.resolve(address) == ["8.8.8.8"]
        with pytest.raises(addresses.AddressRefused):
            outgoing.post(address, b"{}", {})
    assert kept.got == []


def test_the_connection_goes_to_the_address_that_was_checked_whatever_the_name_means_by_then(names):
    names["rebound.example"] = [["127.0.0.1"], ["127.0.0.2"]]
    with receiver() as first, receiver("127.0.0.2", int(first.address.split(":")[2].split("/")[0])) as second:
        assert post(first.address.replace("127.0.0.1", "rebound.example")).status == 204
    assert (len(first.got), len(second.got)) == (1, 0)
    assert names["rebound.example"] == [["127.0.0.2"]]  # asked for once


def test_the_next_address_of_a_name_is_tried_where_one_takes_no_connection(names):
    with receiver() as kept:
        names["two.example"] = [["127.0.0.3", "127.0.0.1"]]
        assert post(kept.address.replace("127.0.0.1", "two.example")).status == 204


def test_a_redirect_is_not_followed():
    with receiver() as target, receiver() as kept:
        kept.answers = [say(302, Location=target.address)]
        assert post(kept.address).status == 302
    assert target.got == []


def test_proxies_of_the_environment_are_not_used(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with receiver() as kept:
        assert post(kept.address).status == 204


def test_a_long_answer_is_read_no_further_than_its_words():
    with receiver() as kept:
        kept.answers = [say(500, "ü".encode() * 1_000_000)]
        answer = post(kept.address)
    assert (answer.status, answer.words) == (500, "ü" * outgoing.MAX_WORDS)


def test_what_an_answer_says_is_made_harmless():
    with receiver() as kept:
        kept.answers = [say(500, "<b>\x1b[31m\u202e\xff\0</b>".encode("latin-1", "replace"))]
        words = post(kept.address).words
    assert words.isprintable()


HEAD = b"HTTP/1.1 200 OK\r\n"
# What the other side sends, and the status that counts: None where there is no answer to speak of.
HOSTILE = {
    "nothing": ([], None),
    "noise": ([b"\xff\x00 nonsense\r\n\r\n"], None),
    "another protocol": ([b"SSH-2.0-OpenSSH_9.6\r\n"], None),
    "a head without an end": (itertools.repeat(b"A: b\r\n", 50_000), None),
    "one endless line": (itertools.repeat(b"a" * 4096, 5_000), None),
    "a status of six digits": ([b"HTTP/1.1 200200 OK\r\n\r\n"], None),
    "never ready": (itertools.chain(itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n", 1_000)), None),
    "two lengths": ([HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"], None),
    "a body without an end": (itertools.chain([HEAD + b"\r\n"], itertools.repeat(b"a" * 4096, 5_000)), 200),
    "a huge chunk": ([HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffff\r\n" + b"a" * 9_000], 200),
    "no chunk": ([HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"], 200),
    "a packed bomb": ([HEAD + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08" + b"\0" * 9_000], 200),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_answer_holds_a_sender_longer_than_its_time(name):
    pieces, status = HOSTILE[name]
    with raw_receiver(pieces, threading.Event()) as address:
        answer = post(address, total_seconds=0.5)
    assert answer.status == status
    assert answer.words or status
    assert len(answer.words) <= outgoing.MAX_WORDS


def test_whoever_never_answers_is_told_apart():
    with receiver() as kept:
        kept.pause = threading.Event()
        answer = post(kept.address, total_seconds=0.3)
    assert (answer.status, answer.words) == (None, "There was no answer within 0 seconds.")


def test_a_receiver_that_is_not_there_is_told_with_the_reason():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert (
        post(f"http://127.0.0.1:{port}/").words
        == f"127.0.0.1:{port} could not be reached: Connection refused."
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120), ("-1", None), ("1e9", None), ("٣", None), ("soon", None), ("9" * 30, None)],
)
def test_a_wish_to_wait_is_read_where_it_is_one(text, seconds):
    with receiver() as kept:
        kept.answers = [say(503, Retry_After=text.encode().decode("latin-1"))]
        assert post(kept.address).retry_after == seconds


def test_a_wish_to_wait_may_be_a_date():
    date = (now() + timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    with receiver() as kept:
        kept.answers = [say(503, Retry_After=date)]
        assert 3_500 < post(kept.address).retry_after <= 3_600


# Certificates


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate for hooks.example that vouches for itself: where it lies, and what wraps a socket."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hooks.example")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, *form)
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return path, lambda listener: context.wrap_socket(listener, server_side=True)


def post_by_tls(names, authority, name):
    names[name] = [["127.0.0.1"]]
    with receiver(wrap=authority[1]) as kept:
        return post(kept.address.replace("127.0.0.1", name)), kept


def test_a_trusted_certificate_of_that_name_is_taken(names, authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[0]))
    answer, kept = post_by_tls(names, authority, "hooks.example")
    assert (answer.status, len(kept.got)) == (204, 1)


def test_a_certificate_of_another_name_is_refused(names, authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[0]))
    answer, kept = post_by_tls(names, authority, "other.example")
    assert "certificate of other.example" in answer.words
    assert (answer.status, kept.got) == (None, [])


def test_a_certificate_that_nobody_vouches_for_is_refused(names, authority):
    answer, kept = post_by_tls(names, authority, "hooks.example")
    assert "self-signed" in answer.words
    assert (answer.status, kept.got) == (None, [])
