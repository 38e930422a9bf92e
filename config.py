"""Every setting: its name, its default and the reason for it.

`instance/config.toml` overrides a default and a `PIGEONHOLE_` variable overrides both. docs/settings.md lists
them for a person (a test compares).
"""

from __future__ import annotations

import os
import secrets
import tempfile
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

MIB = 1024 * 1024
GIB = 1024 * MIB


class BadSetting(ValueError):
    """A setting that is unknown or of the wrong kind; the message names it and where it stands."""


@dataclass(frozen=True)
class Setting:
    """One setting: a default (its type is the setting's type), why it is so, and the words it may be."""

    default: Any
    reason: str
    choices: tuple[str, ...] = ()


SETTINGS: dict[str, Setting] = {
    # Where things are
    "DATABASE_URL": Setting(
        "", "Empty means SQLite in the instance folder; a postgresql:// address elsewhere."
    ),
    "STORAGE_URL": Setting("", "Empty means a folder in the instance folder; any fsspec address elsewhere."),
    # Web
    "HOST": Setting("127.0.0.1", "Only this machine, until somebody decides otherwise."),
    "PORT": Setting(5000, "The port Flask users expect."),
    "WEB_PROCESSES": Setting(0, "0 means one for each core: each predicts with interpreters of its own."),
    "WEB_THREADS": Setting(8, "Threads of each web process, so that slow uploads do not block pages."),
    "SECRET_KEY": Setting("", "Empty means a random key kept in the instance folder."),
    "TRUSTED_HOSTS": Setting("", "Comma-separated host names that requests may name; empty means any."),
    "CORS_ORIGINS": Setting(
        "", "Comma-separated origins whose pages may call the API from a browser, or *; empty means none."
    ),
    "PROXIES": Setting(0, "How many reverse proxies in front set X-Forwarded-* headers; 0 ignores them."),
    "SECURE_COOKIES": Setting(
        False, "Turn on behind HTTPS: the session cookie is then sent over HTTPS only."
    ),
    "SESSION_IDLE_HOURS": Setting(12, "Signed out after a working day without a request."),
    "SESSION_MAX_DAYS": Setting(7, "Signed out after a week in any case."),
    # What is told of it
    "LOG_FORMAT": Setting(
        "text", "text, for a person; json: one object a line, for a program.", choices=("text", "json")
    ),
    "LOG_REQUESTS": Setting(
        False, "A log line for every request; a proxy in front mostly keeps such a log already."
    ),
    "METRICS": Setting(
        "admin",
        "Who may read /metrics, which names datasets: admin, whoever reaches it (open), or nobody (off).",
        choices=("admin", "open", "off"),
    ),
    # What may come in
    "MAX_BODY": Setting(1 * MIB, "Any request that is not an upload."),
    "MAX_IMAGE": Setting(25 * MIB, "One image file."),
    "MAX_IMAGE_BATCH": Setting(100 * MIB, "One form with many images; as JSON `max_predict_body`."),
    "MAX_ZIP": Setting(1 * GIB, "One zip in a form, streamed to disk."),
    "MAX_ZIP_MEMBERS": Setting(50_000, "Files in one zip."),
    "MAX_ZIP_CONTENT": Setting(4 * GIB, "All files of one zip unpacked, counted while streaming."),
    "MAX_CSV": Setting(100 * MIB, "One CSV of labels."),
    "MAX_MODEL": Setting(
        512 * MIB, "One uploaded model, streamed to disk; more than 512 MiB is never taken."
    ),
    "MAX_PREDICT_BODY": Setting(16 * MIB, "One prediction request."),
    "MIN_FREE_DISK": Setting(
        1 * GIB, "Uploads are refused below this much free disk; runs in a sandbox end below it."
    ),
    "MIN_FREE_SHARE": Setting(
        0.05, "Uploads are also refused below this share of the disk: it may be much of a large one."
    ),
    "MODEL_UPLOADS": Setting(
        "sandbox", "sandbox: only where a sandbox looks at uploaded models; always: without one too; never."
    ),
    "WEBHOOK_PRIVATE": Setting(
        False,
        "Lets webhooks call private addresses: owners of datasets reach what only this server can reach.",
    ),
    # Rates (a minute)
    "LOGIN_RATE": Setting(
        5, "Failed logins a minute for an account and an address, counted in the database."
    ),
    "TOKEN_RATE": Setting(10, "Requests a minute of an address for OAuth2 tokens."),
    "PREDICT_RATE_ANONYMOUS": Setting(60, "Predictions a minute for an address without an account."),
    "PREDICT_RATE_TOKEN": Setting(600, "Predictions a minute for a token or a signed-in user."),
    "UPLOAD_RATE": Setting(60, "Upload requests a minute for a user."),
    "REQUEST_RATE": Setting(300, "Other requests a minute for an address or user."),
    # How long things are kept
    "PREDICTION_DAYS": Setting(30, "Predictions and their images are swept after this many days."),
    "DELETED_DAYS": Setting(7, "Deleted images can be brought back for this many days."),
    "TOKEN_DAYS": Setting(90, "A personal token expires after this many days unless chosen otherwise."),
    "OAUTH_PASSWORD_GRANT": Setting(
        False, "Lets programs take people's passwords and change them for tokens; only for old scripts."
    ),
    "ACCESS_TOKEN_MINUTES": Setting(60, "An access token of OAuth2 lives this long."),
    "REFRESH_TOKEN_DAYS": Setting(30, "A program that does not come back for this long must be let in anew."),
    "IDEMPOTENCY_HOURS": Setting(24, "The answer to a write with an Idempotency-Key is kept this long."),
    "IDEMPOTENCY_LEASE_SECONDS": Setting(
        300, "A write with an Idempotency-Key unanswered for this long is taken for dead and may be repeated."
    ),
    "SETUP_LINK_HOURS": Setting(24, "A set-up or invitation link works once and for this long."),
    "WEBHOOK_DAYS": Setting(30, "What was sent to webhooks is swept from their logs after this many days."),
    # Work
    "WORKER_LEASE_SECONDS": Setting(
        60, "A worker silent for this long is taken for dead and its job retried."
    ),
    "RUN_LANES": Setting(
        1,
        "Training runs at once in one worker; each takes all the cores it can get, so more are slower each.",
    ),
    "RUN_MAX_MINUTES": Setting(240, "A training run is ended after this long."),
    "RUN_STALL_MINUTES": Setting(15, "A training run that reports nothing for this long is ended."),
    "RUN_MAX_MEMORY": Setting(
        0, "A training run that holds more bytes of memory is ended; 0 means nine tenths of the machine's."
    ),
    "OWN_CODE": Setting(
        False,
        "Lets editors train networks of their own code, in a sandbox; for people you trust.",
    ),
    "SANDBOX_MEMORY": Setting(4 * GIB, "Memory of everything that own code and uploaded models hold."),
    "SANDBOX_DISK": Setting(4 * GIB, "What a run of own code may write."),
    "TRAIN_ON_ALL": Setting(True, "The version that goes live is solved again with the test items too."),
    "SHARE_VALIDATION": Setting(0.15, "Share of each label's items in the validation split."),
    "SHARE_TEST": Setting(0.15, "Share of each label's items in the untouched test split."),
    "SCOREFILE_DATASET": Setting(
        "", "The dataset (its short name) that answers FastImageClassification's calls; empty closes them."
    ),
    "PREDICT_QUEUE": Setting(
        32, "Requests that may wait for a thread of one web process before a prediction gets a 503."
    ),
}


@dataclass(frozen=True)
class Config:
    """The settings in force, as attributes in lower case (`config.max_zip`), and the instance folder."""

    instance: Path
    values: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name.upper()]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def database_address(self) -> str:
        """The SQLAlchemy address of the database."""
        return self.values["DATABASE_URL"] or f"sqlite:///{self.instance / 'pigeonhole.db'}"

    @property
    def storage_address(self) -> str:
        """The fsspec address under which images are stored."""
        return self.values["STORAGE_URL"] or f"file://{self.instance / 'storage'}"

    def folder(self, name: str) -> Path:
        """Return (and make) a folder of the instance: runs, packages, backbones, embeddings or uploads."""
        folder = self.instance / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def secret_key(self) -> str:
        """The key that signs cookies: the setting, else a random one made once and kept with mode 0600."""
        return self.values["SECRET_KEY"] or _kept_secret(self.instance / "secret_key")


def _kept_secret(path: Path) -> str:
    """Return the secret kept in `path`, made whole at once if there is none: processes start side by side."""
    if not path.exists():
        handle, temporary = tempfile.mkstemp(dir=path.parent)  # readable by nobody else
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
        with suppress(FileExistsError):
            os.link(temporary, path)
        Path(temporary).unlink()
    return path.read_text()


def load(instance: str | Path | None = None) -> Config:
    """Read the settings of an instance folder (default `PIGEONHOLE_INSTANCE`, else `instance/` beside us).

    Raises:
        BadSetting: a setting in config.toml is unknown, a value is not of the setting's type, or the folder
            cannot be made.
    """
    root = instance or os.environ.get("PIGEONHOLE_INSTANCE") or Path(__file__).parent / "instance"
    folder = Path(root).resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadSetting(f"PIGEONHOLE_INSTANCE: {folder} cannot be a folder: {error.strerror}.") from error
    return Config(folder, {**_defaults(), **_from_file(folder / "config.toml"), **_from_environment()})


@cache
def current() -> Config:
    """The settings of this process, read once."""
    return load()


def _defaults() -> dict[str, Any]:
    return {name: setting.default for name, setting in SETTINGS.items()}


def _from_file(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSetting(f"{path} is not valid TOML: {error}.") from error
    return {name.upper(): _checked(name.upper(), value, str(path)) for name, value in given.items()}


def _from_environment() -> dict[str, Any]:
    return {
        name: _checked(name, os.environ[f"PIGEONHOLE_{name}"], f"PIGEONHOLE_{name}")
        for name in SETTINGS
        if f"PIGEONHOLE_{name}" in os.environ
    }


def _checked(name: str, value: Any, where: str) -> Any:
    """Return `value` as the setting's type, or say what is wrong with it."""
    if name not in SETTINGS:
        raise BadSetting(f"{where}: there is no setting {name}. docs/settings.md lists them all.")
    wanted = type(SETTINGS[name].default)
    if wanted is bool:
        return _as_bool(name, value, where)
    if (choices := SETTINGS[name].choices) and value not in choices:
        raise BadSetting(f"{where}: {name} must be one of {', '.join(choices)}, not {value!r}.")
    try:
        return wanted(value)
    except (TypeError, ValueError):
        raise BadSetting(f"{where}: {name} must be a {wanted.__name__}, not {value!r}.") from None


def _as_bool(name: str, value: Any, where: str) -> bool:
    words = {
        "true": True,
        "1": True,
        "yes": True,
        "on": True,
        "false": False,
        "0": False,
        "no": False,
        "off": False,
    }
    try:
        return words[str(value).lower()]
    except KeyError:
        raise BadSetting(f"{where}: {name} must be true or false, not {value!r}.") from None
