"""What a client must know of this server before its first request (RFC 8414)."""

from __future__ import annotations

import logging
from typing import Any

from flask import current_app, request, url_for

from config import Config
from models import GRANTS, SCOPES

logger = logging.getLogger(__name__)


def issuer() -> str:
    """Return what this server calls itself to clients: its address."""
    return request.url_root.rstrip("/")


def offered_grants() -> list[str]:
    """Return the grants of RFC 6749 that this server knows; "password" only where a setting allows it."""
    has_password = current_app.config["PIGEONHOLE"].oauth_password_grant
    return [grant for grant in GRANTS if grant != "password" or has_password]


def warn_of_passwords(settings: Config) -> None:
    """Log a warning where programs may take people's passwords."""
    if settings.oauth_password_grant:
        logger.warning(
            "oauth_password_grant is on: programs may take people's passwords and learn them (docs/oauth.md)."
        )


def describe() -> dict[str, Any]:
    """Return the server's addresses, and what it offers."""
    by_secret = ["client_secret_basic", "client_secret_post"]
    return {
        "issuer": issuer(),
        "authorization_endpoint": url_for("oauth.authorize", _external=True),
        "token_endpoint": url_for("oauth_programs.token", _external=True),
        "revocation_endpoint": url_for("oauth_programs.revoke", _external=True),
        "introspection_endpoint": url_for("oauth_programs.introspect", _external=True),
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": offered_grants(),
        "token_endpoint_auth_methods_supported": [*by_secret, "none"],
        "revocation_endpoint_auth_methods_supported": [*by_secret, "none"],
        "introspection_endpoint_auth_methods_supported": by_secret,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
    }
