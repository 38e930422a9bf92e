"""A call of the API ready to be pasted: for curl, Python and JavaScript."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from typing import Any

TOKEN = "PIGEONHOLE_TOKEN"  # the variable of the environment that every example reads
INDENT = "    "
PHOTO = "photo.jpg"  # what an image is called in examples


@dataclass(frozen=True)
class Call:
    """One request: at most one of `json`, `form` (with `files`: field -> path) and `raw` (type, path)."""

    method: str
    address: str
    needs_token: bool = True
    json: Any = None
    form: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    raw: tuple[str, str] | None = None
    answer: str = "json"  # json, text, nothing or file
    saves_as: str = ""  # of a file: what it is called on disk


@dataclass(frozen=True)
class Snippet:
    """The same call in one language; `key` is its name without spaces or capitals."""

    key: str
    language: str
    text: str


def write(call: Call) -> tuple[Snippet, ...]:
    """Return the call in every language."""
    return (
        Snippet("curl", "curl", as_curl(call)),
        Snippet("python", "Python", as_python(call)),
        Snippet("javascript", "JavaScript", as_javascript(call)),
    )


def as_curl(call: Call) -> str:
    """Return the call as a command; the token comes from the environment and so stays out of the history."""
    parts = ["curl -sS"]
    if call.method not in ("GET", "POST") or (call.method == "POST" and not _has_body(call)):
        parts[0] += f" -X {call.method}"
    if call.needs_token:
        parts.append(f'-H "Authorization: Bearer ${TOKEN}"')
    if call.json is not None:
        parts += ['-H "Content-Type: application/json"', f"-d {shlex.quote(_compact(call.json))}"]
    parts += [f"-F {shlex.quote(f'{name}={value}')}" for name, value in call.form.items()]
    parts += [f"-F {shlex.quote(f'{name}=@{path}')}" for name, path in call.files.items()]
    if call.raw:
        parts += [f'-H "Content-Type: {call.raw[0]}"', f"--data-binary @{shlex.quote(call.raw[1])}"]
    if call.answer == "file":
        parts.append(f"-o {shlex.quote(call.saves_as)}")
    return _broken(parts, shlex.quote(call.address))


def _broken(parts: list[str], address: str) -> str:
    """Return the command on one line if it is short, else with a line for each part."""
    line = " ".join([*parts, address])
    return line if len(line) <= 90 else " \\\n     ".join([*parts, address])


def _has_body(call: Call) -> bool:
    return call.json is not None or bool(call.form or call.files or call.raw)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def as_python(call: Call) -> str:
    """Return the call as a script that needs `requests` alone."""
    arguments = [f"{_python(call.address)},"]
    if headers := _python_headers(call):
        arguments.append(f"headers={{{', '.join(headers)}}},")
    arguments += _python_body(call)
    endings = {
        "json": "print(answer.json())",
        "text": "print(answer.text)",
        "nothing": "print(answer.status_code)",
        "file": f'open("{call.saves_as}", "wb").write(answer.content)',
    }
    return "\n".join(
        [
            *(["import os"] if call.needs_token else []),
            "import requests",
            "",
            f"answer = requests.{call.method.lower()}(",
            *(INDENT + line for line in [*arguments, "timeout=60,"]),
            ")",
            "answer.raise_for_status()",
            endings[call.answer],
        ]
    )


def _python_headers(call: Call) -> list[str]:
    found = [f'"Authorization": f"Bearer {{os.environ[\'{TOKEN}\']}}"'] if call.needs_token else []
    return found + ([f'"Content-Type": "{call.raw[0]}"'] if call.raw else [])


def _python_body(call: Call) -> list[str]:
    if call.json is not None:
        return [f"json={_python(call.json)},"]
    found = [f"data={_python(call.form)},"] if call.form else []
    if call.files:
        files = ", ".join(f'"{name}": open("{path}", "rb")' for name, path in call.files.items())
        found.append(f"files={{{files}}},")
    return found + ([f'data=open("{call.raw[1]}", "rb"),'] if call.raw else [])


def _python(value: Any) -> str:
    """Return a value as Python writes it, texts in double quotes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_python(key)}: {_python(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_python, value)) + "]"
    return _compact(value) if isinstance(value, str) else repr(value)


def as_javascript(call: Call) -> str:
    """Return the call as a module for a browser or Node; `token`, `photo` and the like are the reader's."""
    before = []
    if call.form or call.files:
        before = ["const form = new FormData();"]
        before += [f"form.append({_compact(name)}, {_compact(one)});" for name, one in call.form.items()]
        before += [f"form.append({_compact(name)}, file); // a File or Blob" for name in call.files]
    endings = {
        "json": "console.log(await answer.json());",
        "text": "console.log(await answer.text());",
        "nothing": "console.log(answer.status);",
        "file": "const content = await answer.blob();",
    }
    options = _javascript_options(call)
    opening = f"const answer = await fetch({_compact(call.address)}"
    request = [f"{opening}, {{", *(f"  {one}," for one in options), "});"] if options else [f"{opening});"]
    return "\n".join([*before, *request, endings[call.answer]])


def _javascript_options(call: Call) -> list[str]:
    options = [f'method: "{call.method}"'] if call.method != "GET" else []
    headers = ["Authorization: `Bearer ${token}`"] if call.needs_token else []
    kind = "application/json" if call.json is not None else call.raw[0] if call.raw else None
    if kind:
        headers.append(f'"Content-Type": "{kind}"')
    if headers:
        options.append(f"headers: {{ {', '.join(headers)} }}")
    if call.json is not None:
        options.append(f"body: JSON.stringify({_compact(call.json)})")
    if call.form or call.files:
        options.append("body: form")
    return options + (["body: file"] if call.raw else [])
