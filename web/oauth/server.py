"""Authlib's authorization server on our tables: reads requests strictly, knows clients, saves tokens."""

from __future__ import annotations

import base64
import logging
from typing import Any
from urllib.parse import unquote_plus

from authlib.common.urls import add_params_to_uri
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError, UnsupportedGrantTypeError
from authlib.oauth2.rfc6749.requests import OAuth2Payload, OAuth2Request
from authlib.oauth2.rfc7636 import CodeChallenge
from flask import Response, request
from werkzeug.datastructures import MultiDict

from models import Client, Consent, User
from web import tokens
from web.oauth import clients, endpoints, grants, issuing, metadata, scopes


class _Payload(OAuth2Payload):
    """The parameters of a request, from its form or its address alone: Authlib would mix the two."""

    def __init__(self, values: MultiDict):
        self._values = values

    @property
    def data(self) -> MultiDict:
        return self._values

    @property
    def datalist(self) -> dict[str, list[str]]:
        return self._values.to_dict(flat=False)


class _Request(OAuth2Request):
    """A request to us. Whether it came by https is the administrator's choice, as it is for passwords."""

    def __init__(self, values: MultiDict):
        super().__init__(request.method, "https://localhost/", headers=request.headers)
        self.payload = _Payload(values)
        self.consent: Consent | None = None

    @property
    def form(self) -> MultiDict:
        return self.payload.data


class UnknownClient(InvalidClientError):
    """Nobody we know, or without the right secret."""

    status_code = 401
    description = "The client is unknown or its secret is wrong."

    def get_headers(self) -> list[tuple[str, str]]:
        """Return the headers of the answer, which tell how a client signs in."""
        kept = [pair for pair in super().get_headers() if pair[0] != "WWW-Authenticate"]
        return [*kept, ("WWW-Authenticate", 'Basic realm="pigeonhole"')]


class Server(AuthorizationServer):
    """Authlib's server, on our tables."""

    def query_client(self, client_id: str) -> Client | None:
        """Return the client of this id."""
        return clients.find(client_id)

    def create_oauth2_request(self, request: MultiDict) -> _Request:
        """Return a request with these parameters."""
        return _Request(request)

    def authenticate_client(self, request: _Request, methods: list[str], endpoint: str = "token") -> Client:
        """Return the client that asks: by HTTP Basic or by its form, a public one by its id alone.

        Raises:
            UnknownClient: unknown, or without the right secret.
            InvalidRequestError: it signs in both ways at once.
        """
        public_id, secret = _credentials(request)
        client = self.query_client(public_id)
        if client is None or not clients.is_secret(client, secret):
            raise UnknownClient
        request.auth_method = "none" if client.secret_hash is None else "client_secret_basic"
        return client

    def get_token_grant(self, request: _Request) -> Any:
        """Return the grant asked for.

        Raises:
            UnsupportedGrantTypeError: an unknown one, or one that is off.
        """
        try:
            return super().get_token_grant(request)
        except (
            UnsupportedGrantTypeError
        ) as error:  # Authlib's would say back what was sent, whatever it holds
            raise UnsupportedGrantTypeError("that") from error

    def generate_token(
        self,
        grant_type: str,
        client: Client,
        user: User | None = None,
        scope: str | None = None,
        expires_in: int | None = None,
        include_refresh_token: bool = True,
    ) -> dict[str, Any]:
        """Return the answer with new tokens in it, which `save_token` stores.

        Raises:
            InvalidScopeError: it asks for more than it may have.
        """
        user = user or client.user
        is_agreed = grant_type in ("authorization_code", "refresh_token")
        chosen = (
            scopes.narrow(client, user, scope.split()) if is_agreed else scopes.choose(client, user, scope)
        )
        token = {"access_token": tokens.generate(), "token_type": "Bearer"}
        token |= {"expires_in": issuing.access_seconds(), "scope": " ".join(chosen)}
        if include_refresh_token and client.check_grant_type("refresh_token"):
            token["refresh_token"] = issuing.make_refresh_text()
        return token

    def save_token(self, token: dict[str, Any], request: _Request) -> None:
        """Store the tokens of an answer."""
        user, client = request.user or request.client.user, request.client
        given = token["scope"].split()
        issuing.give_access_token(token["access_token"], user, client, given, request.consent)
        if "refresh_token" in token:
            before = request.refresh_token
            kept = before.scopes if before else given
            issuing.give_refresh_token(token["refresh_token"], request.consent, kept)

    def send_signal(self, name: str, *args: Any, **options: Any) -> None:
        """Tell nobody."""


def _credentials(request: _Request) -> tuple[str, str]:
    """Return the id and secret that a client signs in with; the secret is empty where it sends none."""
    form = request.form
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        public_id, _, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError as error:
        raise UnknownClient from error
    public_id, secret = unquote_plus(public_id), unquote_plus(secret)
    if "client_secret" in form or form.get("client_id", public_id) != public_id:
        raise InvalidRequestError("Sign in by HTTP Basic or by the form, not by both.")
    return public_id, secret


# At level DEBUG Authlib would write tokens into the log.
logging.getLogger("authlib").setLevel(logging.INFO)
server = Server()
server.register_grant(grants.CodeGrant, [CodeChallenge(required=True)])
server.register_grant(grants.ClientGrant)
server.register_grant(grants.RefreshGrant)
server.register_grant(grants.PasswordGrant)
server.register_endpoint(endpoints.Revocation)
server.register_endpoint(endpoints.Introspection)


def answer_token_request() -> Response:
    """Answer the token request at hand, by whatever grant; for every address that gives tokens.

    200 with `access_token`, `token_type` ("Bearer"), `expires_in` (seconds), `scope` (words with spaces
    between) and, where the client may have one, `refresh_token`; else RFC 6749's error with 400, 401 or 429.
    A view that calls it is public, exempt from CSRF, and `@limits(rate="token")`. The caller commits,
    whatever the answer says: a refusal may have ended what a stolen code or refresh token gave.
    """
    try:
        refuse_what_is_repeated(request.form)
        if not request.form.get("grant_type"):
            raise InvalidRequestError("The grant_type is missing. Send a form, not JSON.")
    except OAuth2Error as error:
        return server.handle_error_response(None, error)
    return server.create_token_response(request.form)


def answer_revocation() -> Response:
    """Answer the request at hand to revoke a token (RFC 7009): 200 where there is none too. Commit then."""
    return _answer_about_token("revocation")


def answer_introspection() -> Response:
    """Answer the request at hand to tell what a token is worth (RFC 7662): `{"active": false}` for most."""
    return _answer_about_token("introspection")


def _answer_about_token(name: str) -> Response:
    try:
        refuse_what_is_repeated(request.form)
    except OAuth2Error as error:
        return server.handle_error_response(None, error)
    return server.create_endpoint_response(name, request.form)


def check_authorization(user: User) -> grants.CodeGrant:
    """Return the grant that the address at hand asks this user for.

    Raises:
        OAuth2Error: refused, see `CodeGrant.validate_authorization_request`.
    """
    refuse_what_is_repeated(request.args)
    return server.get_consent_grant(request.args, user)


def answer_authorization(grant: grants.CodeGrant, user: User | None) -> Response:
    """Send the browser back to the client: with a code if `user` lets it in, with an error if nobody does."""
    return _send_back(server.create_authorization_response(grant.request, user, grant=grant))


def answer_refusal(error: OAuth2Error) -> Response:
    """Send the browser back to the client with an error that has a `redirect_uri`."""
    return _send_back(server.handle_error_response(None, error))


def _send_back(answer: Response) -> Response:
    """Name ourselves (RFC 9207), and have the browser come by GET (RFC 9700, 4.12)."""
    answer.status_code = 303
    answer.location = add_params_to_uri(answer.location, {"iss": metadata.issuer()})
    answer.headers["Cache-Control"] = "no-store"
    return answer


def refuse_what_is_repeated(values: MultiDict) -> None:
    """Refuse a parameter that is given twice (RFC 6749, 3.1 and 3.2).

    Raises:
        InvalidRequestError: there is one.
    """
    if any(len(given) > 1 for given in values.to_dict(flat=False).values()):
        raise InvalidRequestError("A parameter is given more than once.")
