"""Hostile images and zips, small and made in code: what each is, by name."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable

from PIL import Image

MIB = 1024 * 1024


def encode(image: Image.Image, format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def photo(seed: int = 0, side: int = 48, format: str = "JPEG") -> bytes:
    """A small picture unlike that of any other seed."""
    coarse = Image.frombytes(
        "L", (6, 6), bytes((seed * 37 + n * n * (seed % 11 + 3)) % 256 for n in range(36))
    )
    return encode(coarse.resize((side, side), Image.Resampling.BICUBIC).convert("RGB"), format)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, pixels: bytes, depth: int = 8, colour: int = 0, before: bytes = b""
) -> bytes:
    """A PNG whose header says what it likes, in greys; `pixels` are filtered rows, not compressed yet."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(pixels, 9))
    return b"\x89PNG\r\n\x1a\n" + header + before + body + chunk(b"IEND", b"")


def _zeros(count: int) -> bytes:
    """`count` zero bytes as a zlib stream, without ever holding them."""
    packer = zlib.compressobj(9)
    block = bytes(MIB)
    return b"".join(packer.compress(block) for _ in range(count // MIB)) + packer.flush()


def _ztxt(count: int, times: int = 1) -> bytes:
    stream = _zeros(count) if count >= MIB else zlib.compress(bytes(count), 9)
    return chunk(b"zTXt", b"Comment\0\0" + stream) * times


def _small_png(before: bytes = b"") -> bytes:
    return png(1, 1, b"\0\0", before=before)


def _jpeg_of_size(width: int, height: int) -> bytes:
    """A JPEG whose frame header says another size than it has."""
    good = bytearray(photo())
    at = good.index(b"\xff\xc0")
    good[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(good)


def _bmp_header(side: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head


def _webp_of_size(width: int, height: int) -> bytes:
    """An extended WebP with a canvas of any size around one small frame."""
    frame = encode(Image.new("RGB", (16, 16), "red"), "WEBP", lossless=True)[12:]
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + canvas + frame
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _lossless_webp_of_size(width: int, height: int) -> bytes:
    """A plain WebP whose bitstream header says another size than it has."""
    good = bytearray(encode(Image.new("RGB", (16, 16), "red"), "WEBP", lossless=True))
    good[21:25] = struct.pack("<I", (width - 1) | (height - 1) << 14)
    return bytes(good)


def _gif(frames: int, side: int = 4) -> bytes:
    """A GIF of many frames, each one pixel large, on a canvas of any size."""
    head = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + b"\xff\0\0\0\0\xff"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + frame * frames + b"\x3b"


def _apng(frames: int) -> bytes:
    control = chunk(b"acTL", struct.pack(">II", frames, 0))
    body = b"".join(
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", 2 * n, 1, 1, 0, 0, 1, 10, 0, 0))
        + chunk(b"fdAT", struct.pack(">I", 2 * n + 1) + zlib.compress(b"\0\xff"))
        for n in range(frames)
    )
    good = _small_png(control)
    return good[:-12] + body + good[-12:]


def _turned_with_position() -> bytes:
    """A JPEG lying on its side, red at its top when upright, that says where it was taken."""
    image = Image.new("RGB", (80, 40), "blue")
    image.paste("red", (0, 0, 40, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right by 90 degrees
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    return encode(image, "JPEG", exif=exif, quality=95)


def _zip_behind(image: bytes) -> bytes:
    return image + make_zip({"hidden.txt": b"a zip behind an image"})


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n"

# name as sent -> bytes; refused with the reason and the file's name
REFUSED_IMAGES: dict[str, Callable[[], bytes]] = {
    "01-empty.png": lambda: b"",
    "02-html.png": lambda: b"<html><script>alert(1)</script></html>",
    "03-script.svg": lambda: SVG,
    "04.eps": lambda: EPS,
    "05-truncated.png": lambda: photo(5, 64, "PNG")[:-200],
    "06-bad-idat.png": lambda: _small_png().replace(zlib.compress(b"\0\0", 9), b"no zlib stream"[:10]),
    "07-truncated.jpg": lambda: photo(7, 200)[:1000],
    "08-header-2-31.png": lambda: png(2**31 - 1, 1, b"\0"),
    "09-one-row.png": lambda: png(13_500, 13_500, bytes(13_501)),
    "10-one-bit.png": lambda: png(30_000, 30_000, b"\0", depth=1),
    "11-9500.png": lambda: png(9_500, 9_500, b"\0"),
    "12-frame-65500.jpg": lambda: _jpeg_of_size(65_500, 65_500),
    "13-header-40000.bmp": lambda: _bmp_header(40_000),
    "14-400-megapixels.tiff": lambda: encode(Image.new("1", (20_000, 20_000)), "TIFF", compression="group4"),
    "15-88-megapixels.webp": lambda: _webp_of_size(9_400, 9_400),
    "15-88-megapixels-lossless.webp": lambda: _lossless_webp_of_size(9_400, 9_400),
    "16.avif": lambda: b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miafMA1B" + bytes(200),
    "17-ztxt.png": lambda: _small_png(_ztxt(200 * MIB)),
    "18-iccp.png": lambda: _small_png(chunk(b"iCCP", b"profile\0\0" + _zeros(200 * MIB))),
    "19-many-ztxt.png": lambda: _small_png(_ztxt(900_000, 100)),
}

# name as sent -> (bytes, format kept, size when upright)
ACCEPTED_IMAGES: dict[str, tuple[Callable[[], bytes], str, tuple[int, int]]] = {
    "20-5000-frames.gif": (lambda: _gif(5_000), "GIF", (4, 4)),
    "21-large-frames.gif": (lambda: _gif(30, 5_000), "GIF", (5_000, 5_000)),
    "22-2000-frames.png": (lambda: _apng(2_000), "PNG", (1, 1)),
    "23-zip-behind.jpg": (lambda: _zip_behind(photo(23)), "JPEG", (48, 48)),
    "24-script-behind.jpg": (lambda: photo(24) + b"<script>alert(1)</script>", "JPEG", (48, 48)),
    "25-cmyk.jpg": (lambda: encode(Image.new("CMYK", (30, 20), (0, 99, 9, 0)), "JPEG"), "JPEG", (30, 20)),
    "26-16-bit.png": (lambda: encode(Image.new("I;16", (30, 20), 40_000)), "PNG", (30, 20)),
    "27-grey-alpha.png": (lambda: encode(Image.new("LA", (30, 20), (9, 99))), "PNG", (30, 20)),
    "28-turned.jpg": (_turned_with_position, "JPEG", (40, 80)),
    "29-png-named.jpg": (lambda: photo(29, format="PNG"), "PNG", (48, 48)),
    "30-one-pixel.png": (lambda: encode(Image.new("RGB", (1, 1), "red")), "PNG", (1, 1)),
}


def make_zip(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip that is the same bytes whenever it is made: its members have the oldest date there is."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def good_files(count: int = 4) -> dict[str, bytes]:
    """Images in two class folders."""
    return {f"{'cat' if n % 2 else 'dog'}/{n}.jpg": photo(100 + n) for n in range(count)}


def _with_info(name: str, content: bytes, **fields) -> bytes:
    """A good zip with one more member whose directory entry says something special."""
    buffer = io.BytesIO()
    info = zipfile.ZipInfo("placeholder")
    with zipfile.ZipFile(buffer, "w") as file:
        for good, image in good_files(2).items():
            file.writestr(good, image)
        info.filename = name
        for field, value in fields.items():
            setattr(info, field, value)
        file.writestr(info, content)
    return buffer.getvalue()


def _with_name(name: str) -> bytes:
    return _with_info(name, photo(1))


def _many_empty(count: int) -> bytes:
    """Members without content: local headers and directory written by hand, as zipfile takes seconds."""
    names = [b"%06d" % number for number in range(count)]
    local = b"PK\x03\x04" + struct.pack("<5H3IHH", 20, 0, 0, 0, 33, 0, 0, 0, 6, 0)
    central = b"PK\x01\x02" + struct.pack("<6H3I5H", 20, 20, 0, 0, 0, 33, 0, 0, 0, 6, 0, 0, 0, 0)
    start = b"".join(local + name for name in names)
    directory = b"".join(
        central + struct.pack("<II", 0, number * 36) + name for number, name in enumerate(names)
    )
    end = struct.pack(
        "<4s4H2IH", b"PK\x05\x06", 0, 0, count % 65536, count % 65536, len(directory), len(start), 0
    )
    return start + directory + end


def _duplicate() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("cat/1.jpg", photo(1))
        file.writestr("cat/2.jpg", photo(2))
    return buffer.getvalue().replace(b"cat/2.jpg", b"cat/1.jpg")


def _link() -> bytes:
    return _with_info(
        "cat/link.jpg", b"/etc/passwd", create_system=3, external_attr=(stat.S_IFLNK | 0o777) << 16
    )


def _lying_sizes() -> bytes:
    """The directory says that a member unpacks to a tenth of what it does."""
    content = bytes(range(256)) * 40
    good = make_zip({"cat/1.bmp": content})
    return good.replace(struct.pack("<I", len(content)), struct.pack("<I", len(content) // 10))


def _overlapping(count: int) -> bytes:
    """Directory entries that all point at the same member."""
    good = make_zip({"cat/000.jpg": photo(1)}, zipfile.ZIP_STORED)
    at = good.index(b"PK\x01\x02")
    entry = good[at : good.index(b"PK\x05\x06")]
    directory = b"".join(entry.replace(b"000.jpg", b"%03d.jpg" % number) for number in range(count))
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(directory), at, 0)
    return good[:at] + directory + end


def _encrypted() -> bytes:
    good = bytearray(make_zip(good_files(2)))
    good[good.index(b"PK\x03\x04") + 6] |= 1
    good[good.index(b"PK\x01\x02") + 8] |= 1
    return bytes(good)


def _bad_crc() -> bytes:
    """The last image has one byte changed; those before it are good."""
    files = good_files(4)
    good = bytearray(make_zip(files, zipfile.ZIP_STORED))
    at = good.index(files["cat/3.jpg"]) + 500
    good[at] ^= 0xFF
    return bytes(good)


def _unknown_method() -> bytes:
    good = bytearray(make_zip(good_files(2)))
    good[good.index(b"PK\x03\x04") + 8] = 97
    good[good.index(b"PK\x01\x02") + 10] = 97
    return bytes(good)


def _zip_of_zeros() -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file,
        file.open("cat/zeros.bmp", "w") as member,
    ):
        for _ in range(256):
            member.write(bytes(MIB))
    return buffer.getvalue()


# what it is -> bytes; the whole zip is refused and nothing of it is kept
REFUSED_ZIPS: dict[str, Callable[[], bytes]] = {
    "31 256 MB of zeros": _zip_of_zeros,
    "33 100,000 empty members": lambda: _many_empty(100_000),
    "34 parent folders": lambda: _with_name("../../x.jpg"),
    "35 absolute path": lambda: _with_name("/abs/x.jpg"),
    "36 parent folders, backslashes": lambda: _with_name("..\\..\\x.jpg"),
    "37 drive": lambda: _with_name("C:\\x.jpg"),
    "38 link": _link,
    "39 the same name twice": _duplicate,
    "41 name of 300 bytes": lambda: _with_name("a" * 300 + ".jpg"),
    "42 1,000 folders deep": lambda: _with_name("a/" * 1_000 + "x.jpg"),
    "43 NUL in a name": lambda: _with_name("cat/xAjpg").replace(b"xAjpg", b"x\0jpg"),
    "44 CR LF in a name": lambda: _with_name("cat/x\r\n.jpg"),
    "45 bidi in a name": lambda: _with_name("cat/\u202egpj.x"),
    "47 truncated": lambda: make_zip(good_files())[:-300],
    "48 garbage after PK": lambda: b"PK\x03\x04" + bytes(range(256)) * 10,
    "49 empty file": lambda: b"",
    "49 empty zip": lambda: make_zip({}),
    "50 sizes that lie": _lying_sizes,
    "51 500 overlapping members": lambda: _overlapping(500),
    "52 encrypted": _encrypted,
    "53 bad CRC": _bad_crc,
    "54 unknown method": _unknown_method,
    "55 LZMA bomb": lambda: make_zip({"cat/1.bmp": bytes(20 * MIB)}, zipfile.ZIP_LZMA),
    "55 bz2 bomb": lambda: make_zip({"cat/1.bmp": bytes(20 * MIB)}, zipfile.ZIP_BZIP2),
    "56 shell before it": lambda: b"#!/bin/sh\nrm -rf /\nexit\n" + make_zip(good_files()),
}

# what it is -> (files of the zip, how many are added, names that are refused)
TAKEN_ZIPS: dict[str, tuple[dict[str, bytes], int, list[str]]] = {
    "32 a zip inside": (
        good_files() | {"cat/inner.zip": make_zip({"x.jpg": photo(1)})},
        4,
        ["cat/inner.zip"],
    ),
    "40 names that differ in case": ({"cat/A.png": photo(1), "cat/a.png": photo(2)}, 2, []),
    "46 what systems leave": (
        good_files()
        | {
            "cat/.htaccess": b"deny",
            "__MACOSX/cat/._1.jpg": b"fork",
            "dog/Thumbs.db": b"db",
            "desktop.ini": b"",
            ".git/config": b"",
        },
        4,
        [],
    ),
    "one bad image among good ones": (good_files() | {"cat/bad.jpg": photo(9)[:300]}, 4, ["cat/bad.jpg"]),
}
