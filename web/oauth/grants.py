"""How a client comes by tokens: Authlib's grants, with PKCE for everybody and secrets that work once."""

from __future__ import annotations

import re
import secrets
from typing import TypeVar

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc6749.errors import (
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    UnauthorizedClientError,
    UnsupportedResponseTypeError,
)
from authlib.oauth2.rfc6749.requests import OAuth2Request
from flask import current_app

from models import AuthorizationCode, Client, Consent, RefreshToken, User, now
from web import auth
from web.oauth import clients, issuing, scopes

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # a SHA-256 in base64url
Secret = TypeVar("Secret", AuthorizationCode, RefreshToken)
SPENT = "It is unknown, used, past its time, or another client's."


class CodeGrant(grants.AuthorizationCodeGrant):
    """A user's browser brings the client a code, which it changes for tokens."""

    @classmethod
    def check_authorization_endpoint(cls, request: OAuth2Request) -> bool:
        """Take every request, so that what is wrong with it is said in one place."""
        return True

    def validate_authorization_request(self) -> str:
        """Return where the answer goes.

        Raises:
            OAuth2Error: with `redirect_uri` where the client may be told, without where only the user may: an
                unknown client or address, and a client that does without PKCE and must be mended first.
        """
        client, address = self._check_client()
        self.request.client = client
        self._check_challenge()
        try:
            self._check_what_is_asked(client)
        except OAuth2Error as error:
            error.redirect_uri = address
            raise
        return address

    def _check_client(self) -> tuple[Client, str]:
        client = self.server.query_client(self.request.payload.client_id or "")
        address = self.request.payload.redirect_uri or ""
        if client is None:
            raise InvalidClientError("There is no program of this client_id here.")
        if not clients.may_redirect(client, address):
            raise InvalidRequestError("The redirect_uri is missing, or the program has not registered it.")
        return client, address

    def _check_challenge(self) -> None:
        data = self.request.payload.data
        is_whole = _CHALLENGE.fullmatch(data.get("code_challenge", ""))
        if data.get("code_challenge_method") != "S256" or not is_whole:
            raise InvalidRequestError("Send a code_challenge with code_challenge_method S256 (RFC 7636).")

    def _check_what_is_asked(self, client: Client) -> None:
        if self.request.payload.response_type != "code":
            raise UnsupportedResponseTypeError("other than code")
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError("This client may not ask for codes.")
        chosen = scopes.choose(client, self.request.user, self.request.payload.scope)
        self.request.scope = " ".join(chosen)

    def generate_authorization_code(self) -> str:
        """Return the text of a new code."""
        return secrets.token_urlsafe(32)

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        """Keep the code until the client comes for it."""
        challenge = request.payload.data["code_challenge"]
        address = request.payload.redirect_uri
        issuing.give_code(request.client, request.user, code, request.scope.split(), address, challenge)

    def query_authorization_code(self, code: str, client: Client) -> AuthorizationCode | None:
        """Return the code if the client can still use it; one used before ends all that it gave."""
        found = issuing.find_code(code)
        return _usable(found) if found and found.consent.client_id == client.id else None

    def validate_token_request(self) -> None:
        """Check the request, PKCE's verifier among it, and use up the code.

        Raises:
            OAuth2Error: it is refused.
        """
        super().validate_token_request()
        self.request.consent = _use_up(self.request.authorization_code)

    def authenticate_user(self, authorization_code: AuthorizationCode) -> User | None:
        """Return whose code it is, unless they are disabled."""
        return enabled(authorization_code.consent.user)

    def delete_authorization_code(self, authorization_code: AuthorizationCode) -> None:
        """Keep it as used, so that a second use is noticed."""


class ClientGrant(grants.ClientCredentialsGrant):
    """A client acts for the user who made it."""

    def validate_token_request(self) -> None:
        """Check the request.

        Raises:
            OAuth2Error: it is refused.
        """
        super().validate_token_request()
        if self.request.client.secret_hash is None:
            raise UnauthorizedClientError("Only a client with a secret may use client_credentials.")


class PasswordGrant(grants.ResourceOwnerPasswordCredentialsGrant):
    """A program takes a user's password, where a setting allows what RFC 9700, 2.4 forbids."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

    @classmethod
    def check_token_endpoint(cls, request: OAuth2Request) -> bool:
        """Whether the request is for this grant, and the grant is on."""
        return current_app.config["PIGEONHOLE"].oauth_password_grant and super().check_token_endpoint(request)

    def authenticate_user(self, username: str, password: str) -> User:
        """Return whose password it is; counted as the login page counts, and with it.

        Raises:
            InvalidGrantError: it is not theirs.
            TooOften: too many failed within the last minute.
        """
        try:
            user = auth.try_login(username, password)
        except auth.TooManyLogins as error:
            raise TooOften(error.retry_seconds) from error
        if user is None:
            raise InvalidGrantError("Name and password don't go together.")
        return user

    def validate_token_request(self) -> None:
        """Check the request, and note that the user let the client in.

        Raises:
            OAuth2Error: it is refused.
        """
        super().validate_token_request()
        request = self.request
        scopes.choose(request.client, request.user, request.payload.scope)
        request.consent = issuing.begin_consent(request.client, request.user)


class TooOften(OAuth2Error):
    """Too many failed logins."""

    error = "temporarily_unavailable"
    status_code = 429

    def __init__(self, retry_seconds: int):
        super().__init__(f"Too many failed logins. Try again in {retry_seconds} seconds.")
        self.retry_seconds = retry_seconds

    def get_headers(self) -> list[tuple[str, str]]:
        """Return the headers of the answer, which tell when to come back."""
        return [*super().get_headers(), ("Retry-After", str(self.retry_seconds))]


class RefreshGrant(grants.RefreshTokenGrant):
    """A client changes its refresh token for new tokens; one used twice ends them all."""

    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshToken | None:
        """Return the token if the client can still use it; one used before ends all of its consent."""
        found = issuing.find_refresh_token(refresh_token)
        return _usable(found) if found and found.check_client(self.request.client) else None

    def validate_token_request(self) -> None:
        """Check the request and use up the refresh token.

        Raises:
            OAuth2Error: it is refused.
        """
        super().validate_token_request()
        self.request.consent = _use_up(self.request.refresh_token)

    def authenticate_user(self, refresh_token: RefreshToken) -> User:
        """Return whose token it is, unless they are disabled."""
        user = enabled(refresh_token.consent.user)
        if user is None:
            raise InvalidGrantError(SPENT)
        return user

    def revoke_old_credential(self, refresh_token: RefreshToken) -> None:
        """It was used up before anything was given."""


def enabled(user: User) -> User | None:
    """Return the user, unless they are disabled."""
    return user if user.is_enabled else None


def _usable(secret: Secret) -> Secret | None:
    """Return a code or refresh token that still works; one used before ends all that its consent gave."""
    if secret.used_at:
        issuing.revoke(secret.consent_id)
        return None
    return secret if secret.expires_at > now() else None


def _use_up(secret: AuthorizationCode | RefreshToken) -> Consent:
    """Use up what works once, and return its consent, which ends where somebody else was faster.

    Raises:
        InvalidGrantError: somebody was.
    """
    if not issuing.use_up(secret):
        issuing.revoke(secret.consent_id)
        raise InvalidGrantError(SPENT)
    return secret.consent
