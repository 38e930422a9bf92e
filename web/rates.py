"""How many requests a minute: who is counted, in which kind, and what every answer says of it."""

from __future__ import annotations

import math
import time
from ipaddress import IPv6Address, IPv6Network

from flask import Flask, Response, current_app, g, request
from flask_limiter import Limiter

from web.access import get_user, is_static
from web.counters import SharedMemory
from web.limits import limits_of_request, requests_a_minute


def register(app: Flask) -> None:
    """Refuse with 429 what comes too fast, and say in the headers of each answer how much may still come."""
    limiter = Limiter(
        key_func=_who,
        application_limits=[_rate],
        application_limits_exempt_when=is_static,
        storage_uri=f"{SharedMemory.STORAGE_SCHEME[0]}://",
    )
    limiter.init_app(app)
    app.extensions["rates"] = limiter
    app.after_request(_say_rate)


def _rate() -> str:
    return f"{requests_a_minute(current_app.config['PIGEONHOLE'], get_user() is None)} per minute"


def _who() -> str:
    """Name who is counted, for each kind of request: the token, the signed-in user, else the address.

    The access tokens that a program has of one user are counted as one: it fetches new ones as it likes.
    """
    token, user = g.get("token"), get_user()
    name = f"user {user.id}" if user else network_of(request.remote_addr or "")
    if token is not None:
        name = f"client {token.client_id} of {token.user_id}" if token.client_id else f"token {token.id}"
    return f"{limits_of_request().rate}:{name}"


def network_of(address: str) -> str:
    """Return what an address is counted as: of IPv6 the first 64 bits, since the rest is theirs to choose."""
    try:
        found = IPv6Address(address)
    except ValueError:
        return address
    return str(found.ipv4_mapped or IPv6Network((found.packed[:8] + bytes(8), 64)))


def _say_rate(response: Response) -> Response:
    """Tell what remains (X-RateLimit-*), and of a 429 when to come back."""
    limit = current_app.extensions["rates"].current_limit
    if limit is None:
        return response
    remaining, reset_at = limit.window.remaining, limit.window.reset_time
    response.headers["X-RateLimit-Limit"] = str(limit.limit.amount)
    response.headers["X-RateLimit-Remaining"] = str(max(0, remaining))
    response.headers["X-RateLimit-Reset"] = str(math.ceil(reset_at))
    if limit.breached:
        response.headers["Retry-After"] = str(max(1, math.ceil(reset_at - time.time())))
    return response
