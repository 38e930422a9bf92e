"""Every table, and `db`. A method touches only its own row; commits belong to the doors."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from flask_login import UserMixin
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, registry, relationship

ROLES = ("viewer", "editor", "owner")  # each may do what those before it may
TASKS = ("single-label", "multi-label")
SPLITS = ("train", "validation", "test")
STATES = ("queued", "running", "finished", "failed", "cancelled", "interrupted")
SCOPES = ("read", "write", "train", "predict", "admin")
GRANTS = ("authorization_code", "client_credentials", "refresh_token", "password")  # as RFC 6749 names them
OUTCOMES = ("added", "skipped", "refused")
EVENTS = ("run.finished", "import.finished")  # what a webhook may be told of
DELIVERY_STATES = ("waiting", "sending", "delivered", "failed")


def now() -> datetime:
    """The present moment in UTC, aware of it."""
    return datetime.now(UTC)


class Moment(TypeDecorator):
    """A time in UTC. SQLite forgets the zone, so it is given back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Return the stored moment with its zone."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Base(DeclarativeBase):
    """The base of all tables, with names for every constraint so that migrations can change them."""

    registry = registry(
        metadata=MetaData(
            naming_convention={
                "ix": "ix_%(table_name)s_%(column_0_N_name)s",
                "uq": "uq_%(table_name)s_%(column_0_N_name)s",
                "ck": "ck_%(table_name)s_%(constraint_name)s",
                "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
                "pk": "pk_%(table_name)s",
            }
        ),
        type_annotation_map={datetime: Moment, dict: JSON, list: JSON},
    )


db = SQLAlchemy(model_class=Base)


class User(UserMixin, db.Model):
    """A person who may sign in."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    is_admin: Mapped[bool] = mapped_column(default=False)
    is_enabled: Mapped[bool] = mapped_column(default=True)
    # Part of every session: changing it signs the user out everywhere.
    session_key: Mapped[str] = mapped_column(String(32), default=lambda: secrets.token_hex(16))
    created_at: Mapped[datetime] = mapped_column(default=now)

    @property
    def is_active(self) -> bool:
        """Whether this user may sign in (flask-login asks)."""
        return self.is_enabled

    def get_id(self) -> str:
        """What the session cookie carries of this user (flask-login asks)."""
        return f"{self.id}.{self.session_key}"


class Invitation(db.Model):
    """A link that works once: the set-up of the first administrator, or a new user's first password."""

    __tablename__ = "invitations"
    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_name: Mapped[str | None] = mapped_column(String(100))
    is_admin: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class FailedLogin(db.Model):
    """One failed login, counted by account and by address so that the limit holds across processes."""

    __tablename__ = "failed_logins"
    id: Mapped[int] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(String(100), index=True)
    address: Mapped[str] = mapped_column(String(64), index=True)
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)


class Client(db.Model):
    """A program that people may let in by OAuth2, made by one of them. Without a secret it is public."""

    __tablename__ = "clients"
    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True)  # OAuth2's client_id
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    secret_hash: Mapped[str | None] = mapped_column(String(64))  # SHA-256
    redirect_uris: Mapped[list] = mapped_column(default=list)
    grants: Mapped[list] = mapped_column(default=list)
    scopes: Mapped[list] = mapped_column(default=list)
    created_at: Mapped[datetime] = mapped_column(default=now)
    user: Mapped[User] = relationship()

    def check_grant_type(self, grant: str) -> bool:
        """Whether the client may use this grant (Authlib asks)."""
        return grant in self.grants


class Consent(db.Model):
    """That a user let a client in, once. All it was given since hangs on this row and goes with it."""

    __tablename__ = "consents"
    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    client: Mapped[Client] = relationship()
    user: Mapped[User] = relationship()


class AuthorizationCode(db.Model):
    """What a client changes for tokens, once. Only its SHA-256 is stored."""

    __tablename__ = "authorization_codes"
    id: Mapped[int] = mapped_column(primary_key=True)
    consent_id: Mapped[int] = mapped_column(ForeignKey("consents.id", ondelete="CASCADE"), index=True)
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    redirect_uri: Mapped[str] = mapped_column(Text)
    scopes: Mapped[list] = mapped_column(default=list)
    code_challenge: Mapped[str] = mapped_column(String(43))  # of PKCE, always S256
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    consent: Mapped[Consent] = relationship()
    code_challenge_method = "S256"

    def get_redirect_uri(self) -> str:
        """Where the code was sent (Authlib asks)."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """The scopes agreed to, with spaces between (Authlib asks)."""
        return " ".join(self.scopes)


class RefreshToken(db.Model):
    """What a client changes for new tokens, once. Only its SHA-256 is stored."""

    __tablename__ = "refresh_tokens"
    id: Mapped[int] = mapped_column(primary_key=True)
    consent_id: Mapped[int] = mapped_column(ForeignKey("consents.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list] = mapped_column(default=list)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    consent: Mapped[Consent] = relationship()

    def check_client(self, client: Client) -> bool:
        """Whether it was given to this client (Authlib asks)."""
        return self.consent.client_id == client.id

    def get_scope(self) -> str:
        """The scopes agreed to, with spaces between (Authlib asks)."""
        return " ".join(self.scopes)


class Token(db.Model):
    """A token of the API: personal, or the access token of a client. Only its SHA-256 is stored."""

    __tablename__ = "tokens"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list] = mapped_column(default=list)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    # Of an access token: whose it is, and by whose consent (none where a client acts for who made it).
    client_id: Mapped[int | None] = mapped_column(ForeignKey("clients.id", ondelete="CASCADE"), index=True)
    consent_id: Mapped[int | None] = mapped_column(ForeignKey("consents.id", ondelete="CASCADE"), index=True)
    user: Mapped[User] = relationship()
    client: Mapped[Client | None] = relationship()

    def check_client(self, client: Client) -> bool:
        """Whether it was given to this client (Authlib asks)."""
        return self.client_id == client.id


class IdempotencyKey(db.Model):
    """A key that a client has given one of its writes, so that it is carried out once; and its answer."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("user_id", "key"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(255))
    fingerprint: Mapped[str] = mapped_column(String(64))  # SHA-256 of method, address and body
    holder: Mapped[str] = mapped_column(String(32))  # the request that carries it out, at random
    claimed_at: Mapped[datetime] = mapped_column(default=now)
    status: Mapped[int | None]  # of the answer; None while it is carried out
    headers: Mapped[dict] = mapped_column(default=dict)
    body: Mapped[bytes | None]  # None where it is not kept
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)


class Dataset(db.Model):
    """A named collection of images with labels."""

    __tablename__ = "datasets"
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(120), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(Text, default="")
    task: Mapped[str] = mapped_column(String(20), default="single-label")
    is_public: Mapped[bool] = mapped_column(default=False)  # may anybody open its predict page
    prediction_days: Mapped[int | None]  # None: the instance's setting
    live_version: Mapped[int | None]  # the number of the version that answers
    # May a new version go live by itself where it is not worse than the live one.
    is_promoting: Mapped[bool] = mapped_column(server_default=true())
    retired_version: Mapped[int | None]  # the highest number of a deleted one: none is given twice
    # Counts per label and split, kept by whatever changes items, so that no page has to count 100,000 rows.
    # {"items": n, "splits": {split: n}, "labels": {label id as text: {split: n}}, "unlabelled": n}
    counts: Mapped[dict] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)
    members: Mapped[list[Member]] = relationship(back_populates="dataset", cascade="all, delete-orphan")
    labels: Mapped[list[Label]] = relationship(order_by="Label.name", cascade="all, delete-orphan")


class Member(db.Model):
    """A user's role on a dataset: owner, editor or viewer."""

    __tablename__ = "members"
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    role: Mapped[str] = mapped_column(String(10))
    dataset: Mapped[Dataset] = relationship(back_populates="members")
    user: Mapped[User] = relationship()


class Label(db.Model):
    """A class name of a dataset."""

    __tablename__ = "labels"
    __table_args__ = (UniqueConstraint("dataset_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))


class Item(db.Model):
    """One image in a dataset. Its bytes lie in storage under `filename`."""

    __tablename__ = "items"
    __table_args__ = (
        UniqueConstraint("dataset_id", "sha256"),
        # Pages go through a dataset by id, whole or one split of it.
        Index("ix_items_page", "dataset_id", "deleted_at", "id"),
        Index("ix_items_split_page", "dataset_id", "deleted_at", "split", "id"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    import_id: Mapped[int | None] = mapped_column(ForeignKey("imports.id", ondelete="SET NULL"), index=True)
    sha256: Mapped[str] = mapped_column(String(64))  # of the bytes as they were sent
    filename: Mapped[str] = mapped_column(String(60), unique=True)
    sent_name: Mapped[str] = mapped_column(String(1024))  # for showing only
    format: Mapped[str] = mapped_column(String(10))
    width: Mapped[int]
    height: Mapped[int]
    size: Mapped[int] = mapped_column(BigInteger)  # bytes
    # 64-bit difference hash as 16 hexadecimal digits; near-duplicates stay in the same split.
    fingerprint: Mapped[str] = mapped_column(String(16))
    split: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime] = mapped_column(default=now)
    deleted_at: Mapped[datetime | None]  # can be brought back until it is swept
    label_links: Mapped[list[ItemLabel]] = relationship(cascade="all, delete-orphan", lazy="selectin")

    @property
    def labels(self) -> list[Label]:
        """The labels of this item (single-label datasets: none or one)."""
        return [link.label for link in self.label_links]


class ItemLabel(db.Model):
    """That an item bears a label."""

    __tablename__ = "item_labels"
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id", ondelete="CASCADE"), primary_key=True)
    label_id: Mapped[int] = mapped_column(ForeignKey("labels.id", ondelete="CASCADE"), primary_key=True)
    __table_args__ = (Index("ix_item_labels_page", "label_id", "item_id"),)
    label: Mapped[Label] = relationship(lazy="joined")


class Change(db.Model):
    """One edit of items (relabel or delete) with what stood before, so that it can be undone."""

    __tablename__ = "changes"
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    kind: Mapped[str] = mapped_column(String(10))  # relabel, delete, to-single or to-multi
    summary: Mapped[str] = mapped_column(String(300))
    before: Mapped[dict] = mapped_column(default=dict)  # {item id as text: [label names]}
    labels: Mapped[dict] = mapped_column(default=dict)  # {name in `before`: id of the label that had it}
    created_at: Mapped[datetime] = mapped_column(default=now)
    undone_at: Mapped[datetime | None]


class Job(db.Model):
    """A place in the queue. `state` has one writer: the functions of jobs/queue.py."""

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_queue", "state", "kind", "id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))  # import, embed or run
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    state: Mapped[str] = mapped_column(String(12), default="queued")
    message: Mapped[str | None] = mapped_column(Text)  # why it failed, for a person
    phase: Mapped[str | None] = mapped_column(String(40))
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int | None]
    is_stop_asked: Mapped[bool] = mapped_column(default=False)
    attempts: Mapped[int] = mapped_column(default=0)
    # Who works on it, until when; `fence` grows with every claim so that a late worker's word is not taken.
    worker: Mapped[str | None] = mapped_column(String(60))
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Import(db.Model):
    """One act of bringing files in. Its state is its job's."""

    __tablename__ = "imports"
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    kind: Mapped[str] = mapped_column(String(10))  # images, zip, folder, digits or list
    source: Mapped[str] = mapped_column(String(1024), default="")  # the sent name, for showing
    upload: Mapped[str | None] = mapped_column(String(1024))  # where the bytes wait, until it is finished
    label: Mapped[str | None] = mapped_column(String(100))  # one label for everything in it
    # How labels are found: list (a path), list_name, file_column, label_columns, labels_from, min_items.
    options: Mapped[dict] = mapped_column(default=dict)
    notes: Mapped[list] = mapped_column(default=list)  # sentences of the report, on the import as a whole
    added: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
    dataset: Mapped[Dataset] = relationship()
    job: Mapped[Job | None] = relationship()


class ImportFile(db.Model):
    """What became of one file of an import."""

    __tablename__ = "import_files"
    __table_args__ = (Index("ix_import_files_page", "import_id", "outcome", "id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id", ondelete="CASCADE"))
    item_id: Mapped[int | None] = mapped_column(ForeignKey("items.id", ondelete="SET NULL"))
    sent_name: Mapped[str] = mapped_column(String(1024))
    outcome: Mapped[str] = mapped_column(String(10))  # added, skipped or refused
    code: Mapped[str | None] = mapped_column(String(40))
    message: Mapped[str | None] = mapped_column(String(300))


class Run(db.Model):
    """One training run. Its truth is in its run folder; its place in the queue is its job."""

    __tablename__ = "runs"
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    folder: Mapped[str] = mapped_column(String(60), unique=True)  # its name under the instance's runs/
    recipe: Mapped[str] = mapped_column(String(20))
    backbone: Mapped[str] = mapped_column(String(60))
    settings: Mapped[dict] = mapped_column(default=dict)
    # The labels that it was given, by the names they had; not those that only an uploaded model knows.
    label_ids: Mapped[dict] = mapped_column(default=dict, server_default="{}")
    created_at: Mapped[datetime] = mapped_column(default=now)
    dataset: Mapped[Dataset] = relationship()
    job: Mapped[Job | None] = relationship()
    version: Mapped[Version | None] = relationship(back_populates="run")


class Version(db.Model):
    """What a finished run gives: network, labels, evaluation. Its package lies in its run's folder."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("dataset_id", "number"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), unique=True)
    number: Mapped[int]
    labels: Mapped[list] = mapped_column(default=list)  # in the order the network knows
    metrics: Mapped[dict] = mapped_column(default=dict)  # the figures of result.json
    proven: Mapped[list] = mapped_column(
        default=list
    )  # the formats whose golden images agreed: litert, keras
    promotion: Mapped[dict | None]  # whether it went live by itself, and why: jobs/promotion.py
    # What is wrong with its files, for a person; then it is not served. jobs/faults.py says and unsays it.
    fault: Mapped[str | None] = mapped_column(Text)
    failing: Mapped[list] = mapped_column(default=list, server_default="[]")  # formats that are off
    checked_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    dataset: Mapped[Dataset] = relationship()
    run: Mapped[Run] = relationship(back_populates="version")


class Prediction(db.Model):
    """An answer to one image from one version."""

    __tablename__ = "predictions"
    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True)  # pr_…
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), index=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id", ondelete="CASCADE"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    filename: Mapped[str | None] = mapped_column(String(60), unique=True)  # None where no image is kept
    sent_name: Mapped[str] = mapped_column(String(1024), default="")
    answer: Mapped[dict] = mapped_column(default=dict)  # the JSON that docs/api.md shows
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    dataset: Mapped[Dataset] = relationship()
    version: Mapped[Version] = relationship()
    feedback: Mapped[list[Feedback]] = relationship(order_by="Feedback.id", passive_deletes=True)


class LiveChange(db.Model):
    """That another version of a dataset went live. Numbers, and no keys: versions may be deleted since."""

    __tablename__ = "live_changes"
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), index=True)
    version: Mapped[int]
    previous: Mapped[int | None]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    why: Mapped[str | None] = mapped_column(Text)  # of one that went live by itself
    is_rollback: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)
    user: Mapped[User | None] = relationship()


class Challenge(db.Model):
    """That a version answers in the shadow what the live one answers. A dataset has one at most."""

    __tablename__ = "challenges"
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), unique=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id", ondelete="CASCADE"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    seen_id: Mapped[int]  # of the newest prediction that was looked at
    passed_over: Mapped[int] = mapped_column(default=0)  # predictions, since there were too many
    trouble: Mapped[str | None] = mapped_column(String(300))  # why it answers no more
    created_at: Mapped[datetime] = mapped_column(default=now)
    dataset: Mapped[Dataset] = relationship()
    version: Mapped[Version] = relationship()
    user: Mapped[User | None] = relationship()


class ShadowAnswer(db.Model):
    """What a challenger says of the image of a prediction."""

    __tablename__ = "shadow_answers"
    __table_args__ = (
        UniqueConstraint("prediction_id", "version_id"),
        Index("ix_shadow_answers_page", "version_id", "is_same", "prediction_id"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    prediction_id: Mapped[int] = mapped_column(ForeignKey("predictions.id", ondelete="CASCADE"))
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id", ondelete="CASCADE"))
    labels: Mapped[list] = mapped_column(default=list)  # that it says; none where it says that none fits
    reason: Mapped[str | None] = mapped_column(String(20))  # why none was said, as in an answer
    probability: Mapped[float]  # of its likeliest label
    is_same: Mapped[bool]  # whether it says the very labels of the prediction
    milliseconds: Mapped[float]
    created_at: Mapped[datetime] = mapped_column(default=now)
    prediction: Mapped[Prediction] = relationship()


class Feedback(db.Model):
    """Somebody's word on whether a prediction was right."""

    __tablename__ = "feedback"
    __table_args__ = (UniqueConstraint("prediction_id", "user_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    prediction_id: Mapped[int] = mapped_column(ForeignKey("predictions.id", ondelete="CASCADE"))
    # None: somebody without an account, of a dataset that is open to all. They have one word together.
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    is_correct: Mapped[bool]
    labels: Mapped[list | None]  # what it is; None where that was not said
    created_at: Mapped[datetime] = mapped_column(default=now)
    user: Mapped[User | None] = relationship()


class Review(db.Model):
    """That somebody looked at an item, or a prediction, that a version got wrong and lets it be."""

    __tablename__ = "reviews"
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), index=True)
    item_id: Mapped[int | None] = mapped_column(ForeignKey("items.id", ondelete="CASCADE"), unique=True)
    prediction_id: Mapped[int | None] = mapped_column(
        ForeignKey("predictions.id", ondelete="CASCADE"), unique=True
    )
    labels: Mapped[list] = mapped_column(default=list)  # ids of the item's, sorted, as they were
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=now)


class Webhook(db.Model):
    """An address that is told when runs or imports of a dataset have ended."""

    __tablename__ = "webhooks"
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))  # whose it is
    address: Mapped[str] = mapped_column(Text)
    secret: Mapped[str] = mapped_column(String(100))  # whsec_…: what is sent is signed with it
    old_secret: Mapped[str | None] = mapped_column(String(100))  # signs too until
    old_secret_until: Mapped[datetime | None]
    events: Mapped[list] = mapped_column(default=list)  # some of EVENTS
    is_enabled: Mapped[bool] = mapped_column(default=True)
    trouble: Mapped[str | None] = mapped_column(String(300))  # why it was switched off, where nobody did it
    failed_in_row: Mapped[int] = mapped_column(default=0)  # deliveries given up since one arrived
    tried_at: Mapped[datetime | None]  # who was served longest ago comes first
    created_at: Mapped[datetime] = mapped_column(default=now)
    dataset: Mapped[Dataset] = relationship()
    user: Mapped[User | None] = relationship()


class WebhookDelivery(db.Model):
    """One event on its way to one webhook. `state` is one of DELIVERY_STATES."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_due", "state", "next_attempt_at"),
        Index("ix_webhook_deliveries_page", "webhook_id", "id"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    public_id: Mapped[str] = mapped_column(String(40), unique=True)  # msg_…, the same at every try
    event: Mapped[str] = mapped_column(String(30))
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None] = mapped_column(default=now)
    # Until when it is being sent; `fence` grows with every claim so that a late sender's word is not taken.
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(default=0)
    last_status: Mapped[int | None]
    last_message: Mapped[str | None] = mapped_column(Text)  # what was answered, or why nothing was
    created_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]
    webhook: Mapped[Webhook] = relationship()


class Batch(db.Model):
    """A zip of images that a version answers in the background. Its answers lie in `batches/<folder>`."""

    __tablename__ = "batches"
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), index=True)
    version_id: Mapped[int | None] = mapped_column(ForeignKey("versions.id", ondelete="SET NULL"))
    number: Mapped[int]  # of the version
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    source: Mapped[str] = mapped_column(String(1024), default="")  # the sent name, for showing
    upload: Mapped[str] = mapped_column(String(1024))  # where the zip waits, until it is answered
    folder: Mapped[str] = mapped_column(String(60), unique=True)  # its name under the instance's batches/
    refused: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
    job: Mapped[Job | None] = relationship()


for table in db.metadata.tables.values():
    # On SQLite no new row takes the id of a deleted one, which a worker or an upload may still have in hand.
    table.kwargs["sqlite_autoincrement"] = True
