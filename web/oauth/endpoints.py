"""Revocation (RFC 7009) and introspection (RFC 7662) by Authlib, on our tables."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749.errors import InvalidRequestError, UnauthorizedClientError
from authlib.oauth2.rfc6749.requests import OAuth2Request
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from models import Client, RefreshToken, Token, now
from web.oauth import given, issuing


class Revocation(RevocationEndpoint):
    """A client gives a token back: an access token alone, a refresh token with all of its consent."""

    def check_params(self, request: OAuth2Request, client: Client) -> None:
        """Refuse a request without a token. A hint of its type isn't needed, and a wrong one does no harm."""
        _require_token(request)

    def query_token(self, token_string: str, token_type_hint: str | None) -> Token | RefreshToken | None:
        """Return what this text is; a personal token is none of a client's."""
        found = given.find_token(token_string)
        return None if isinstance(found, Token) and found.client_id is None else found

    def revoke_token(self, token: Token | RefreshToken, request: OAuth2Request) -> None:
        """End it."""
        if isinstance(token, RefreshToken):
            issuing.revoke(token.consent_id)
        else:
            token.revoked_at = token.revoked_at or now()


class Introspection(IntrospectionEndpoint):
    """A client asks what a token is worth: one of its own, or of another client that the same user made."""

    def check_params(self, request: OAuth2Request, client: Client) -> None:
        """Refuse a request without a token, and a client that cannot prove who it is."""
        _require_token(request)
        if client.secret_hash is None:
            raise UnauthorizedClientError("Only a client with a secret may ask about tokens.")

    def query_token(self, token_string: str, token_type_hint: str | None) -> Token | RefreshToken | None:
        """Return what this text is."""
        return given.find_token(token_string)

    def check_permission(self, token: Token | RefreshToken, client: Client, request: OAuth2Request) -> bool:
        """Whether the client may know about the token."""
        owner = given.client_of(token)
        return owner is not None and owner.user_id == client.user_id

    def create_introspection_payload(self, token: Token | RefreshToken | None) -> dict[str, Any]:
        """Return the answer: what a living token is worth, and of any other only that it is not active."""
        return given.describe(token) if token and given.is_living(token) else {"active": False}


def _require_token(request: OAuth2Request) -> None:
    if not request.form.get("token"):
        raise InvalidRequestError("The token is missing.")
