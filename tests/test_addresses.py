"""Addresses to call: what is none is refused by its reason, and what is not public is never called."""

from __future__ import annotations

import pytest

from jobs import addresses

HOSTILE = [
    "",
    "example.org",
    "//example.org/",
    "ftp://example.org/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "javascript:alert(1)",
    "http:///path",
    "http://",
    "http://?x",
    "https://alice:secret@example.org/",
    "https://example.org@127.0.0.1/",
    "https://example.org#@127.0.0.1/",
    "https://example.org/#part",
    "https://example.org:0/",
    "https://example.org:65536/",
    "https://example.org:٨٠/",
    "https://example.org:80:80/",
    "https://[::1/",
    "https://[::1]evil.org/",
    "https://[v1.x]/",
    "https://exa mple.org/",
    "https://example.org/a b",
    "https://example.org\\@127.0.0.1/",
    "https://example.org/\r\nX-Evil: 1",
    "https://example.org/\0",
    "https://exam\u202eple.org/",
    "https://127.0.0.1%2f@example.org/",
    "https://%31%32%37.0.0.1/",
    "https://a..b/",
    f"https://{'a' * 64}.org/",
    f"https://{'a.' * 130}org/",
    f"https://example.org/{'a' * 1_000}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_address_to_call_is_refused_with_the_reason(text):
    with pytest.raises(addresses.AddressRefused, match=r"\.$"):
        addresses.parse(text)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (" https://Example.ORG ", "https://example.org/"),
        ("http://example.org:80/a?b=c", "http://example.org/a?b=c"),
        ("https://example.org:8443?x", "https://example.org:8443/?x"),
        ("https://münchen.example/ä", "https://xn--mnchen-3ya.example/%C3%A4"),
        ("http://[2001:DB8:0::1]:81/", "http://[2001:db8::1]:81/"),
        ("https://example.org/%41%zz", "https://example.org/%41%zz"),
    ],
)
def test_an_address_is_read_in_one_way(text, clean):
    assert addresses.parse(text).text == clean
    assert addresses.parse(clean).text == clean


PRIVATE = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
    *("192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.0.8", "192.0.2.1"),
    *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
    *("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:808:808::"),
    *("2001::1", "2001:0:53aa:64c:0:fbff:80ff:fffe", "2001:db8::1", "3fff::1", "100::1", "fc00::1"),
    *("fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "5f00::1", "4000::1"),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "192.0.1.1", "223.255.255.255"),
    *("2606:4700::1111", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2620:4f:8000::1"),
]


@pytest.mark.parametrize("text", PRIVATE)
def test_an_address_that_not_everybody_can_reach_is_not_public(text):
    assert not addresses.is_public(text)


@pytest.mark.parametrize("text", PUBLIC)
def test_an_address_that_everybody_can_reach_is_public(text):
    assert addresses.is_public(text)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "0", "127.1", "0x7f.1", "0177.0.0.1", "2130706433"),
        *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "①②⑦.⓪.⓪.①", "１２７.0.0.1"),
        *("169.254.169.254", "10.1", "0xa9fea9fe"),
    ],
)
def test_no_spelling_of_a_private_address_gets_through(host):
    with pytest.raises(addresses.AddressRefused, match="WEBHOOK_PRIVATE"):
        addresses.resolve(addresses.parse(f"http://{host}:8080/"))


def test_a_name_with_one_private_address_among_public_ones_is_refused(names):
    names["both.example"] = [["8.8.8.8", "10.0.0.1"]]
    with pytest.raises(addresses.AddressRefused):
        addresses.resolve(addresses.parse("https://both.example/"))


def test_a_name_with_public_addresses_gives_them_all_once(names):
    names["many.example"] = [["8.8.8.8", "1.1.1.1", "8.8.8.8"]]
    assert addresses.resolve(addresses.parse("https://many.example/")) == ["8.8.8.8", "1.1.1.1"]


def test_a_name_that_nobody_knows_is_told_so():
    with pytest.raises(addresses.NameUnknown, match=r"nothing\.invalid"):
        addresses.resolve(addresses.parse("https://nothing.invalid/"))


def test_private_addresses_are_taken_where_the_setting_allows_them():
    assert addresses.resolve(addresses.parse("http://127.0.0.1/"), allow_private=True) == ["127.0.0.1"]
