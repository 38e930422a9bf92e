"""Zips from strangers: checked whole before anything is taken, then read member by member."""

from __future__ import annotations

import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from datasets.folders import is_junk
from datasets.names import is_harmless, make_inert

MIB = 1024 * 1024
GIB = 1024 * MIB
MAX_RATIO = 100  # of one member over 1 MiB
MAX_RATIO_OVERALL = 20  # of a zip with over 1 MiB in it
MAX_PATH = 1024  # bytes
MAX_FOLDER_NAME = 255  # bytes
MAX_DEPTH = 16
_CHUNK = MIB
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_UTF8 = 0x800
_LOCAL_HEADER = b"PK\x03\x04"
_CENTRAL_HEADER = b"PK\x01\x02"
_LOCAL_HEADER_SIZE = 30
# zipfile raises all of these for bytes that lie about themselves.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)


class ArchiveRefused(Exception):
    """A zip of which nothing is taken. `code` is for programs, the message is for a person."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Limits:
    """What a zip may hold."""

    members: int = 50_000
    content: int = 4 * GIB  # bytes of all members unpacked
    member: int = 25 * MIB  # bytes; a larger member is refused alone


@dataclass(frozen=True)
class Member:
    """One file of a zip: its path with `/` between folders, and its size unpacked in bytes."""

    path: str
    size: int
    info: zipfile.ZipInfo


class Archive:
    """An open zip whose structure was checked; members may be read from several threads."""

    def __init__(self, zip_file: zipfile.ZipFile, members: list[Member], limits: Limits):
        self.members = members
        self.limits = limits
        self._zip = zip_file
        self._lock = Lock()  # ZipFile counts its open members without one

    def read(self, member: Member) -> bytes:
        """Return a member's bytes.

        Raises:
            ArchiveRefused: they are damaged.
        """
        return b"".join(self._chunks(member))

    def verify(self) -> None:
        """Unpack every member that can be an image, keeping nothing, so that a damaged zip is refused whole.

        Raises:
            ArchiveRefused: a member is damaged, or there is more in the zip than its directory says.
        """
        total = 0
        for member in self.members:
            if member.size <= self.limits.member:
                total += sum(len(chunk) for chunk in self._chunks(member))
            if total > self.limits.content:
                raise _too_much(self.limits)

    def _chunks(self, member: Member) -> Iterator[bytes]:
        try:
            with self._lock:
                file = self._zip.open(member.info)
            try:
                while chunk := file.read(_CHUNK):
                    yield chunk
            finally:
                with self._lock:
                    file.close()
        except _DAMAGE as error:
            message = f"{make_inert(member.path)} is damaged inside the zip. Make the zip anew."
            raise ArchiveRefused("zip_damaged", message) from error


@contextmanager
def open_archive(path: str | Path, limits: Limits | None = None) -> Iterator[Archive]:
    """Open a zip after checking its directory: every name, size, method and position, but no content yet.

    Files that a system left there (`__MACOSX`, dot files, `Thumbs.db`) are not among the members.

    Raises:
        ArchiveRefused: it is not a zip, or breaks one of this module's rules; the message says which.
        FileNotFoundError: there is no such file.
    """
    limits = limits or Limits()
    with Path(path).open("rb") as file:
        zip_file = _open_zip(file, limits)
        yield Archive(zip_file, _check(zip_file.infolist(), limits), limits)


def _open_zip(file, limits: Limits) -> zipfile.ZipFile:
    start = file.read(4)
    if start == b"PK\x05\x06":
        raise ArchiveRefused("zip_empty", "The zip is empty. Put images into it.")
    if start != _LOCAL_HEADER:
        raise ArchiveRefused("not_a_zip", "This is not a zip file. Send a .zip with images.")
    try:
        _check_count(file, limits)
        return zipfile.ZipFile(file)
    except _DAMAGE as error:
        raise ArchiveRefused("zip_damaged", "The zip is damaged or cut short. Make it anew.") from error


def _check_count(file, limits: Limits) -> None:
    """Count the directory's entries before zipfile makes an object of each."""
    # zipfile's own finder, so that no second opinion can be played against it.
    end = zipfile._EndRecData(file)
    if not end:
        raise zipfile.BadZipFile("no end of central directory")
    size, location = end[zipfile._ECD_SIZE], end[zipfile._ECD_LOCATION]
    if size > location or end[zipfile._ECD_OFFSET] + size > location:
        raise zipfile.BadZipFile("the central directory does not fit")
    file.seek(end[zipfile._ECD_OFFSET])
    if file.read(location - end[zipfile._ECD_OFFSET]).count(_CENTRAL_HEADER) > limits.members:
        message = f"The zip holds more than {limits.members:,} files. Split it into several."
        raise ArchiveRefused("zip_too_many_files", message)


def _check(infos: list[zipfile.ZipInfo], limits: Limits) -> list[Member]:
    members = [Member(_clean_path(info), info.file_size, info) for info in infos]
    for member in members:
        _check_member(member)
    _check_sizes(infos, limits)
    _check_positions(infos)
    files = [member for member in members if not member.info.is_dir() and not member.path.endswith("/")]
    _check_duplicates(files)
    return sorted((member for member in files if not is_junk(member.path)), key=lambda member: member.path)


def _clean_path(info: zipfile.ZipInfo) -> str:
    """Return a member's path in NFC with `/` between folders, as Mac, Windows and Linux meant it."""
    name = info.orig_filename
    if not info.flag_bits & _UTF8:
        name = _as_utf8(name)
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _as_utf8(name: str) -> str:
    """macOS writes UTF-8 without saying so; what is not UTF-8 stays in the zip's old code page."""
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


def _check_member(member: Member) -> None:
    path, info = member.path, member.info
    shown = make_inert(path)[:80]
    parts = path.removesuffix("/").split("/")
    if not path or not is_harmless(path):
        message = f"The name {shown!r} in the zip holds invisible characters. Rename the file."
        raise ArchiveRefused("zip_path", message)
    if path.startswith("/") or re.match(r"[A-Za-z]:", path) or {"..", "."} & set(parts) or "" in parts:
        raise ArchiveRefused("zip_path", f"The path {shown} leads out of the zip. Make the zip anew.")
    if len(path.encode()) > MAX_PATH or max(len(part.encode()) for part in parts) > MAX_FOLDER_NAME:
        raise ArchiveRefused("zip_path", f"The path {shown}… in the zip is too long. Shorten it.")
    if len(parts) - 1 > MAX_DEPTH:
        raise ArchiveRefused("zip_path", f"The path {shown}… lies more than {MAX_DEPTH} folders deep.")
    _check_kind(info, shown)


def _check_kind(info: zipfile.ZipInfo, shown: str) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveRefused("zip_link", f"{shown} in the zip is a link or device. Put the file itself in.")
    if info.flag_bits & _ENCRYPTED:
        raise ArchiveRefused("zip_encrypted", f"{shown} is encrypted. Make the zip without a password.")
    if info.compress_type not in _METHODS:
        message = f"{shown} is packed by a method we don't unpack. Make an ordinary (deflate) zip."
        raise ArchiveRefused("zip_method", message)


def _check_sizes(infos: list[zipfile.ZipInfo], limits: Limits) -> None:
    total = sum(info.file_size for info in infos)
    if total > limits.content:
        raise _too_much(limits)
    for info in infos:
        if info.file_size > MIB and info.file_size > MAX_RATIO * max(info.compress_size, 1):
            raise _bomb(f"{make_inert(info.filename)[:80]} unpacks to over {MAX_RATIO} times its size.")
    if total > MIB and total > MAX_RATIO_OVERALL * sum(info.compress_size for info in infos):
        raise _bomb(f"The zip unpacks to over {MAX_RATIO_OVERALL} times its size.")


def _too_much(limits: Limits) -> ArchiveRefused:
    message = f"The zip unpacks to more than {limits.content / GIB:.3g} GiB. Split it into several."
    return ArchiveRefused("zip_too_large", message)


def _bomb(message: str) -> ArchiveRefused:
    return ArchiveRefused("zip_ratio", f"{message} Pack the images as JPEG, PNG or WebP.")


def _check_positions(infos: list[zipfile.ZipInfo]) -> None:
    """Refuse members that share bytes with another: a few kilobytes could be unpacked thousands of times."""
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            message = f"{make_inert(info.filename)[:80]} overlaps another file in the zip. Make it anew."
            raise ArchiveRefused("zip_overlap", message)
        end = info.header_offset + _LOCAL_HEADER_SIZE + len(info.orig_filename) + info.compress_size


def _check_duplicates(files: list[Member]) -> None:
    seen = set()
    for member in files:
        if member.path in seen:
            message = f"{make_inert(member.path)[:80]} is in the zip twice. Make it anew."
            raise ArchiveRefused("zip_duplicate", message)
        seen.add(member.path)
