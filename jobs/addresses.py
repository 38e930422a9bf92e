"""Addresses that people give us to call: read strictly, looked up, and refused where they are not public.

A server that calls what others name can be made to call what only it can reach: itself, its neighbours, its
cloud's metadata service (server-side request forgery). So every IP address that a name has must be public,
and whoever calls connects to one that `resolve` has given, never to the name again.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from urllib.parse import quote, urlsplit

from datasets.names import is_harmless

MAX_ADDRESS = 1_000  # characters
LOOK_UP_SECONDS = 5.0
PORTS = {"http": 80, "https": 443}
NOT_PUBLIC = (
    "{} is not a public address. An administrator can allow private ones with the setting WEBHOOK_PRIVATE."
)
_PLACE = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>[0-9]{0,5}))?")
_HOST = re.compile(r"[a-z0-9._-]{1,253}")
_KEPT_IN_TARGET = "!#$%&'()*+,/:;=?@[]~"

# What the IANA registries of special-purpose addresses say is not globally reachable, and multicast. Python's
# own `is_global` differs between versions (CVE-2024-4032).
_PRIVATE_4 = [
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
]
_UNICAST_6 = ipaddress.ip_network("2000::/3")
# Protocol assignments (Teredo among them), documentation, 6to4: tunnels lead to the address inside this one.
_PRIVATE_6 = [
    ipaddress.ip_network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address

_look_ups = threading.BoundedSemaphore(8)  # at once in this process


class AddressRefused(ValueError):
    """An address that is not called; the message says why and what to do."""


class NameUnknown(OSError):
    """A name that could not be looked up just now; the message says so."""


@dataclass(frozen=True)
class Address:
    """An http or https address in its parts; `host` is a lower-case ASCII name or an IP address."""

    scheme: str
    host: str
    port: int
    target: str  # path and query, as a request sends them

    @property
    def place(self) -> str:
        """The host with its port where that is not the scheme's own, as the Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def text(self) -> str:
        """The whole address."""
        return f"{self.scheme}://{self.place}{self.target}"


def parse(text: str) -> Address:
    """Read an http or https address.

    Raises:
        AddressRefused: it is none, or carries a name, a password or a fragment.
    """
    text = text.strip()
    if len(text) > MAX_ADDRESS:
        raise AddressRefused(f"The address has {len(text):,} characters; {MAX_ADDRESS:,} is the most.")
    if not is_harmless(text) or "\\" in text or any(character.isspace() for character in text):
        raise AddressRefused("The address holds a space, a backslash or an invisible character. Retype it.")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise AddressRefused("That is not an address. Write it as https://example.org/path.") from None
    if parts.scheme not in PORTS:
        raise AddressRefused("The address must begin with https:// or http://.")
    if "@" in parts.netloc:
        raise AddressRefused("Leave name and password out of the address; every call is signed instead.")
    if "#" in text:
        raise AddressRefused("Leave out what begins with #: it is never sent.")
    host, port = _read_place(parts.netloc, PORTS[parts.scheme])
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(parts.scheme, host, port, quote(target, safe=_KEPT_IN_TARGET))


def _read_place(place: str, default_port: int) -> tuple[str, int]:
    found = _PLACE.fullmatch(place)
    if found is None:
        raise AddressRefused("The address names no host. Write it as https://example.org/path.")
    port = int(found["port"] or default_port)
    if not 1 <= port <= 65_535:
        raise AddressRefused("The port must be 1 to 65,535.")
    try:
        host = str(ipaddress.IPv6Address(found["six"])) if found["six"] else _as_ascii(found["name"])
    except ValueError:  # UnicodeError is one
        raise AddressRefused(f"{place[:100]} is not a host's name.") from None
    return host, port


def _as_ascii(name: str) -> str:
    host = name.encode("idna").decode("ascii").lower()
    if not _HOST.fullmatch(host):
        raise ValueError(name)
    return host


def resolve(address: Address, allow_private: bool = False, seconds: float = LOOK_UP_SECONDS) -> list[str]:
    """Return the IP addresses of the host, each of which may be connected to.

    Args:
        allow_private: take addresses that are not public too.
        seconds: how long to wait for the name.

    Raises:
        AddressRefused: one of them is not public, or is this machine's own.
        NameUnknown: the name has none, or nobody answered in time.
    """
    found = list(dict.fromkeys(_look_up(address, seconds)))
    if not allow_private and any(not is_public(one) or _is_own(one) for one in found):
        raise AddressRefused(NOT_PUBLIC.format(address.host))
    return found


def _look_up(address: Address, seconds: float) -> list[str]:
    """Ask the system, which knows no time-out, in a thread that is left alone when it takes too long."""
    answers: SimpleQueue[list[str] | OSError] = SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(address.host.encode(), address.port, type=socket.SOCK_STREAM)
            answers.put([socket_address[0] for *_, socket_address in found])
        except OSError as error:
            answers.put(error)
        finally:
            _look_ups.release()

    if not _look_ups.acquire(timeout=seconds):
        raise NameUnknown(f"{address.host} could not be looked up: too many names are being looked up.")
    threading.Thread(target=ask, daemon=True, name="look-up").start()
    try:
        answer = answers.get(timeout=seconds)
    except Empty:
        raise NameUnknown(f"{address.host} could not be looked up within {seconds:.0f} seconds.") from None
    if isinstance(answer, OSError):
        raise NameUnknown(f"Nobody knows the name {address.host}.") from answer
    return answer


def is_public(text: str) -> bool:
    """Whether an IP address, such as 192.0.2.1 or fe80::1%eth0, can be reached from anywhere.

    IPv4 addresses within IPv6 ones (mapped, NAT64) are judged by what they lead to. Source: the IANA IPv4 and
    IPv6 Special-Purpose Address Registries (RFC 6890).
    """
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _PRIVATE_4)
    if address.ipv4_mapped:
        return is_public(str(address.ipv4_mapped))
    if address in _NAT64:
        return is_public(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)))
    return address in _UNICAST_6 and not any(address in network for network in _PRIVATE_6)


def _is_own(text: str) -> bool:
    """Whether the address is this machine's: firewalls let a machine reach itself. No packet is sent."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((text, 9))
            return probe.getsockname()[0] == text
    except OSError:
        return False  # no way leads there, from here
