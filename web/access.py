"""Who asks, and what they may touch: every page and every call fetches and authorises here in one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flask import abort, current_app, g, request
from flask_login import current_user
from sqlalchemy import and_, bindparam, select

from models import ROLES, Client, Dataset, Member, User, db
from web import tokens

View = TypeVar("View", bound=Callable)

DOCS = "/api/docs"  # the API's documentation: pages, though they lie under /api/
SCOREFILE = "/scorefile/"  # FastImageClassification's call, for programs too
Part = TypeVar("Part")

# Built once: every page and every call of the API asks it.
_WITH_ROLE = (
    select(Dataset, Member.role)
    .outerjoin(Member, and_(Member.dataset_id == Dataset.id, Member.user_id == bindparam("user")))
    .where(Dataset.slug == bindparam("slug"))
)


def public(view: View) -> View:
    """Mark a view that strangers may ask for. Every other page asks them to sign in first."""
    view.is_public = True
    return view


def is_api_request() -> bool:
    """Whether the request came to the API, where only tokens count and cookies never do."""
    return request.path.startswith(("/api/", SCOREFILE)) and not f"{request.path}/".startswith(f"{DOCS}/")


def is_oauth_request() -> bool:
    """Whether a program asks OAuth2, whose errors have their own shape; the consent page is for people."""
    return request.path.startswith(("/oauth/", "/o/")) and request.path != "/oauth/authorize"


def get_user() -> User | None:
    """Return the user who asks: by token under /api/, else by session; None for a stranger or a program."""
    if is_api_request():
        token = g.get("token")
        return token.user if token and tokens.is_living(token) else None
    if is_oauth_request():
        return None
    return current_user._get_current_object() if current_user.is_authenticated else None


def role_of(user: User | None, dataset: Dataset) -> str | None:
    """Return the user's role on the dataset ("owner" for every administrator), or None."""
    if user is None:
        return None
    if user.is_admin:
        return "owner"
    return db.session.scalar(select(Member.role).filter_by(dataset_id=dataset.id, user_id=user.id))


def has_role(user: User | None, dataset: Dataset, role: str) -> bool:
    """Whether the user has at least this role on the dataset."""
    return _is_enough(role_of(user, dataset), role)


def _is_enough(theirs: str | None, role: str) -> bool:
    return theirs is not None and ROLES.index(theirs) >= ROLES.index(role)


def can(dataset: Dataset, role: str) -> bool:
    """Whether the user who asks has at least this role (templates show or leave out buttons by it)."""
    roles = g.setdefault("roles", {})  # a page asks many times
    if dataset.id not in roles:
        roles[dataset.id] = role_of(get_user(), dataset)
    return _is_enough(roles[dataset.id], role)


def get_dataset(slug: str, role: str = "viewer", allow_public: bool = False) -> Dataset:
    """Return the dataset of that name if the user who asks has at least `role` on it.

    With `allow_public`, a dataset whose predict page is public is given to anybody. Otherwise aborts with
    401 for a stranger, 404 when it is not theirs to see or not there, 403 when their role is too low.
    """
    user = get_user()
    dataset, theirs = find_dataset(slug, user.id if user else None)
    if dataset and allow_public and dataset.is_public:
        return dataset
    if user is None:
        abort(401)
    if dataset and user.is_admin:
        theirs = "owner"
    if theirs is None:
        abort(404)
    if ROLES.index(theirs) < ROLES.index(role):
        abort(403, f"Only an {role} of this dataset may do that. Ask one of its owners.")
    return dataset


def find_dataset(slug: str, user_id: int | None) -> tuple[Dataset | None, str | None]:
    """Return the dataset of that name, if there is one, and the user's role as a member of it, or None."""
    found = db.session.execute(_WITH_ROLE, {"slug": slug, "user": user_id}).first()
    return tuple(found) if found else (None, None)


def get_part(table: type[Part], row_id: int, role: str = "viewer") -> Part:
    """Return a row of a dataset (an item, a label, an import, …) if the user has at least `role` on that.

    Aborts with 401 for a stranger, 404 when it is not theirs to see or not there, 403 when their role is too
    low.
    """
    row = db.session.get(table, row_id)
    if row is None:
        abort(404 if get_user() else 401)
    get_dataset(db.session.scalar(select(Dataset.slug).filter_by(id=row.dataset_id)), role)
    return row


def get_datasets(user: User) -> list[Dataset]:
    """Return the datasets the user is a member of, newest first."""
    mine = select(Dataset).join(Member).where(Member.user_id == user.id)
    return list(db.session.scalars(mine.order_by(Dataset.id.desc())))


def get_client(public_id: str) -> Client:
    """Return the program of that id if the user who asks has made it or administers; else abort with 404."""
    user = get_user()
    client = db.session.scalar(select(Client).filter_by(public_id=public_id))
    if client is None or not (user.is_admin or client.user_id == user.id):
        abort(404)
    return client


def require_admin() -> User:
    """Return the administrator who asks; abort with 404 for anybody else."""
    user = get_user()
    if user is None or not user.is_admin:
        abort(404)
    return user


def refuse_strangers() -> None:
    """Abort with 401 when a stranger asks for a page that is not public. Runs before every request."""
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None or is_api_request() or is_static():
        return
    if get_user() is None and not getattr(view, "is_public", False):
        abort(401)


def is_static() -> bool:
    """Whether the request is for one of our own scripts, styles or pictures."""
    return (request.endpoint or "").endswith("static")
