"""Where a client's answers may go: what may be registered, what matches it, what a policy calls it."""

from __future__ import annotations

import re

MAX_LENGTH = 500
_HOST = r"(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\])"
_WEB = re.compile(rf"(https://{_HOST}(?::\d{{1,5}})?)(?:[/?].*)?")
_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]|localhost))(:\d{1,5})?((?:[/?].*)?)")
# A scheme of the program's own holds a dot (RFC 8252, 8.4), which keeps out javascript: and its like.
_OWN_SCHEME = re.compile(r"([a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:)/.*")
_CHARACTERS = re.compile(
    r"[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]+"
)  # of an address without a fragment (RFC 3986)


class RedirectRefused(ValueError):
    """An address that no client may have its answers sent to; the message says why."""


def check(address: str, is_public: bool) -> str:
    """Return the address if a client may register it: https, http on this machine, or a scheme of its own.

    Raises:
        RedirectRefused: anything else, a fragment, or a scheme of its own where the client has a secret.
    """
    if "#" in address:
        raise RedirectRefused(f"{address[:100]}: leave out the # and what follows it.")
    if len(address) > MAX_LENGTH or not _CHARACTERS.fullmatch(address):
        raise RedirectRefused(f"{address[:100]}: that is not an address of at most {MAX_LENGTH} characters.")
    if _WEB.fullmatch(address) or _LOOPBACK.fullmatch(address):
        return address
    if _OWN_SCHEME.fullmatch(address):
        if is_public:
            return address
        raise RedirectRefused(
            f"{address[:100]}: only a program without a secret may have a scheme of its own."
        )
    raise RedirectRefused(
        f"{address[:100]}: give an https:// address, http:// on 127.0.0.1, [::1] or localhost, or a scheme "
        "of the program's own with a dot in it, such as com.example.app:/done."
    )


def is_match(asked: str, registered: list[str], is_public: bool) -> bool:
    """Whether the address asked for is one of the registered, to the letter.

    One thing may differ, as RFC 8252, 7.3 asks: a public client on the user's own machine takes whatever port
    is free, if it has registered its loopback address without one.
    """
    if asked in registered:
        return True
    found = _LOOPBACK.fullmatch(asked) if is_public else None
    return found is not None and found.group(2) is not None and found.group(1) + found.group(3) in registered


def place(address: str) -> str:
    """Return where a registered address lies, such as https://shop.example or com.example.app:."""
    loopback = _LOOPBACK.fullmatch(address)
    if loopback:
        return loopback.group(1) + (loopback.group(2) or "")
    return (_WEB.fullmatch(address) or _OWN_SCHEME.fullmatch(address)).group(1)


def policy_source(address: str) -> str:
    """Return what a Content-Security-Policy calls that place; of one in brackets it knows the scheme only."""
    source = place(address)
    return source.partition("//")[0] if "[" in source else source
