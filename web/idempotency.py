"""`Idempotency-Key`: a write that is sent again with the same key is carried out once and answered as before.

A key belongs to one user and one request (method, address, body); who has lost a dataset hears no more of
what they did there. It is claimed in a transaction of its own before the view begins; the answer is kept with
it afterwards. Where the process dies between the two, the claim lapses with its lease and the next who sends
the key carries the request out: whoever was killed between the view's commit and the keeping of its answer
(milliseconds) has it carried out twice.

Not kept, so that the key may be tried again: answers of 500 and above, 429, and 401 and 403, which are about
who asked. Kept without their body, so that it is not carried out again but not told either: answers over
1 MiB, and what must not be stored (`Cache-Control: no-store`), such as a new token. Predictions take no key:
the same image is answered the same way.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import IO

from flask import Flask, Response, abort, current_app, g, request
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from models import Change, Dataset, IdempotencyKey, Import, Item, Label, Run, db, now
from web import tokens
from web.access import get_user, has_role
from web.errors import api_error

HEADER, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
WRITES = ("POST", "PUT", "PATCH", "DELETE")
MIB = 1024 * 1024
MAX_KEPT = 1 * MIB  # bytes of an answer's body
KEPT_HEADERS = ("Content-Type", "Location")
NOT_KEPT = (401, 403, 429)
RETRY_SECONDS = 2
# What addresses name without the dataset it is of.
PARTS = {"item_id": Item, "label_id": Label, "import_id": Import, "run_id": Run, "change_id": Change}
_KEY = re.compile(r"[!-~]{1,255}\Z")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Claim:
    """A key that this request holds: the row, and what proves that nobody else has taken it over."""

    row_id: int
    holder: str


def register(app: Flask) -> None:
    """Let the writes of the API take a key. To be called after the hooks that say who asks."""
    app.before_request(_begin)
    app.after_request(_keep)


def _begin() -> Response | None:
    """Claim the key of this request, or answer as the first one with it was answered."""
    if not _takes_key():
        return None
    key = request.headers[HEADER]
    if not _KEY.match(key):
        abort(400, f"{HEADER} must be 1 to 255 printable ASCII characters without spaces.")
    fingerprint = fingerprint_of_request()  # may take a second, so before the database is locked
    if not tokens.is_living(g.token) or not tokens.has_scope(g.token, _scope()):
        return None  # the view refuses it
    row, holder = _find_or_claim(g.user_id, key, fingerprint)
    answer = None
    if row.holder == holder:
        g.idempotency_claim = Claim(row.id, holder)
    elif _may_see_it():
        answer = _answer_again(row, fingerprint)
    db.session.commit()
    return answer


def _takes_key() -> bool:
    is_write = request.method in WRITES and request.path.startswith("/api/v1/")
    return (
        is_write
        and HEADER in request.headers
        and g.get("token") is not None
        and _scope() not in ("", "predict")
    )


def _may_see_it() -> bool:
    """Whether the user may still see the dataset that this request is about; if not, the view says so.

    What is gone meanwhile may have been deleted by the very request that is sent again.
    """
    where = request.view_args or {}
    query = select(Dataset).filter_by(slug=where.get("slug"))
    for name, part in PARTS.items():
        if name in where:
            query = select(Dataset).join(part, part.dataset_id == Dataset.id).where(part.id == where[name])
    dataset = db.session.scalar(query)
    return dataset is None or has_role(get_user(), dataset, "viewer")


def _scope() -> str:
    """The scope that the view asks for; empty where there is no view."""
    return getattr(current_app.view_functions.get(request.endpoint or ""), "scope", "")


def fingerprint_of_request() -> str:
    """Return the SHA-256 of method, address and body; of a form, of its fields and files."""
    digest = hashlib.sha256()
    _add(digest, request.method, request.full_path, request.mimetype)
    if request.form or request.files:
        for name, value in request.form.items(multi=True):
            _add(digest, "field", name, value)
        for name, file in request.files.items(multi=True):
            _add(digest, "file", name, file.filename or "", _sha256_of(file.stream))
    else:
        digest.update(request.get_data(cache=True))
    return digest.hexdigest()


def _add(digest: hashlib._Hash, *texts: str) -> None:
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        digest.update(len(content).to_bytes(8) + content)


def _sha256_of(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := stream.read(MIB):
        digest.update(block)
    stream.seek(0)
    return digest.hexdigest()


def _find_or_claim(user_id: int, key: str, fingerprint: str) -> tuple[IdempotencyKey, str]:
    """Return the key's row, and the name under which we hold it if its `holder` is that. Not committed."""
    holder = secrets.token_hex(16)
    query = select(IdempotencyKey).filter_by(user_id=user_id, key=key)
    row = db.session.scalar(query)
    if row is not None and row.created_at < now() - timedelta(hours=_settings().idempotency_hours):
        db.session.delete(row)
        db.session.flush()
        row = None
    if row is not None:
        _take_over(row, fingerprint, holder)
        return row, holder
    row = IdempotencyKey(user_id=user_id, key=key, fingerprint=fingerprint, holder=holder)
    try:
        db.session.add(row)
        db.session.flush()
    except (
        IntegrityError
    ):  # another process was faster (not on SQLite, where one transaction writes at a time)
        db.session.rollback()
        row = db.session.scalar(query) or abort(503)
    return row, holder


def _take_over(row: IdempotencyKey, fingerprint: str, holder: str) -> None:
    """Make the claim ours if it is of this request and whoever held it has been silent for its lease."""
    lapsed = now() - timedelta(seconds=_settings().idempotency_lease_seconds)
    if row.status is not None or row.fingerprint != fingerprint or row.claimed_at > lapsed:
        return
    still = update(IdempotencyKey).filter_by(id=row.id, holder=row.holder, status=None)
    db.session.execute(still.values(holder=holder, claimed_at=now()))
    db.session.refresh(row)


def _answer_again(row: IdempotencyKey, fingerprint: str) -> Response:
    """Answer a request whose key was used before: as then, or with why that can't be."""
    if row.fingerprint != fingerprint:
        sentence = "This Idempotency-Key was used for another request. Use a new one for each request."
        return api_error(422, "idempotency_key_reused", sentence)
    if row.status is None:
        sentence = "The first request with this Idempotency-Key is still at work. Send it again in a moment."
        answer = api_error(409, "idempotency_key_in_use", sentence)
        answer.headers["Retry-After"] = str(RETRY_SECONDS)
        return answer
    if row.body is None:
        sentence = (
            f"This was carried out already and answered with {row.status}, but the answer is not kept: "
        )
        sentence += "it is secret or too large. Look at what there is now."
        return api_error(409, "idempotency_answer_not_kept", sentence)
    answer = Response(row.body, row.status, headers=row.headers)
    answer.headers[REPLAYED] = "true"
    return answer


def _keep(response: Response) -> Response:
    """Keep the answer with its key, or give the key back where the answer is none to keep."""
    claim = g.pop("idempotency_claim", None)
    if claim is None:
        return response
    try:
        db.session.rollback()  # what the view has left open
        db.session.execute(_settle(claim, response))
        db.session.commit()
    except SQLAlchemyError as error:  # the write itself is done, and that is what is said
        db.session.rollback()
        logger.warning("An answer could not be kept with its Idempotency-Key: %s", error)
    return response


def _settle(claim: Claim, response: Response) -> object:
    ours = {"id": claim.row_id, "holder": claim.holder}
    if response.status_code >= 500 or response.status_code in NOT_KEPT:
        return delete(IdempotencyKey).filter_by(**ours)
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    values = {"status": response.status_code, "headers": headers, "body": _body_to_keep(response)}
    return update(IdempotencyKey).filter_by(**ours).values(values)


def _body_to_keep(response: Response) -> bytes | None:
    is_file = response.is_streamed or response.direct_passthrough
    if is_file or response.cache_control.no_store or (response.content_length or 0) > MAX_KEPT:
        return None
    body = response.get_data()
    return body if len(body) <= MAX_KEPT else None


def _settings():
    return current_app.config["PIGEONHOLE"]
