"""A service's requests as its OpenAPI description has them: what of a request that came in does not conform.

The descriptions stand in `tests/corpus/openapi`, one file for each service, typed from the source that each names.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from email import message_from_bytes, policy
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from jsonschema import Draft202012Validator

FOLDER = Path(__file__).parents[1] / "corpus" / "openapi"

Fields = list[tuple[str, bytes]]
Gathered = dict[str, list[str]]


class Asks(Protocol):
    """A request as a server got it; header names in lower case."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class Describes(Protocol):
    """Knows what requests may look like."""

    @property
    def source(self) -> str:
        """Where that is written down, in few words."""

    def faults(self, asked: Asks) -> Iterable[str]:
        """What is wrong with a request, a sentence each."""


class Description:
    """An OpenAPI description, 3.1; a service may stand behind any path of a gateway."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._components: Mapping[str, Any] = document.get("components", {})
        self.source = str(document["info"]["x-source"])

    def faults(self, asked: Asks) -> Iterator[str]:
        """What is wrong: path, method, login, parameters, the type of the body, and its fields."""
        url = urlsplit(asked.path)
        found = self._operation(asked.method, url.path)
        if found is None:
            yield f"{asked.method} {url.path}: no such operation is described"
            return
        template, operation, steps = found
        query = _gathered(parse_qsl(url.query, keep_blank_values=True))
        given = {
            "path": {name: [value] for name, value in steps.items()},
            "query": query,
            "header": {name: [value] for name, value in asked.headers.items()},
        }
        for fault in chain(
            self._login(operation, asked, query), self._parameters(operation, given), self._body(operation, asked)
        ):
            yield f"{asked.method} {template}: {fault}"

    def unexpected(self, asked: Asks, status: int, document: Any) -> Iterator[str]:
        """What is wrong with a success, as an answer to that request."""
        found = self._operation(asked.method, urlsplit(asked.path).path)
        responses = found[1]["responses"] if found else {}
        if str(status) not in responses:
            yield f"{status} is not described"
        elif "content" in responses[str(status)]:
            yield from self._wrong(document, responses[str(status)]["content"]["application/json"]["schema"], "answer")

    def _operation(self, method: str, path: str) -> tuple[str, Mapping[str, Any], Mapping[str, str]] | None:
        for template, methods in self._document["paths"].items():
            steps = re.search(_pattern(template), path)
            if steps is not None and (operation := methods.get(method.lower())) is not None:
                both = [*methods.get("parameters", ()), *operation.get("parameters", ())]
                return template, {**operation, "parameters": both}, steps.groupdict()
        return None

    def _login(self, operation: Mapping[str, Any], asked: Asks, query: Gathered) -> Iterator[str]:
        schemes = self._components.get("securitySchemes", {})
        wanted = operation.get("security", self._document.get("security", []))
        if not wanted and "authorization" in asked.headers:
            yield "a login that nobody asks for"
        elif wanted and not any(all(_logged_in(schemes[name], asked, query) for name in names) for names in wanted):
            yield f"no login as described: {' or '.join(' and '.join(names) for names in wanted)}"

    def _parameters(self, operation: Mapping[str, Any], given: Mapping[str, Gathered]) -> Iterator[str]:
        known = set()
        shared = self._components.get("parameters", {})
        for one in operation["parameters"]:
            parameter = shared[one["$ref"].rpartition("/")[2]] if "$ref" in one else one
            place, name = parameter["in"], parameter["name"]
            key = name.lower() if place == "header" else name
            known.add((place, key))
            if key in given[place]:
                value = _typed(given[place][key], parameter["schema"])
                yield from self._wrong(value, parameter["schema"], f"{place} {name}")
            elif parameter.get("required", False):
                yield f"{place} {name} is missing"
        yield from (f"query {name} is unknown" for name in given["query"] if ("query", name) not in known)

    def _body(self, operation: Mapping[str, Any], asked: Asks) -> Iterator[str]:
        described = operation.get("requestBody", {"content": {}})["content"]
        content_type = asked.headers.get("content-type", "")
        media_type = content_type.partition(";")[0].strip()
        if media_type not in described:
            if described or asked.body:
                yield f"content type {media_type!r}, and {' or '.join(described) or 'no body'} is described"
            return
        schema = described[media_type]["schema"]
        try:
            document = _read(asked.body, content_type, schema)
        except ValueError as error:
            yield f"the body is no {media_type}: {error}"
        else:
            yield from self._wrong(document, schema, "body")

    def _wrong(self, value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
        whole = {**schema, "components": self._components}
        for error in Draft202012Validator(whole).iter_errors(value):
            place = "".join(f".{step}" for step in error.absolute_path)
            yield f"{where}{place}: {error.message[:300]}"


@cache
def description(name: str) -> Description:
    """The description of a service, by the name of its file."""
    return Description(json.loads((FOLDER / f"{name}.json").read_text("utf-8")))


def fields_of(body: bytes, content_type: str) -> Fields:
    """The fields of a multipart form, in their order."""
    form = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=policy.HTTP)
    boundary = form.get_boundary()
    assert boundary
    parts = body.split(f"--{boundary}".encode())
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    read: Fields = []
    for part in parts[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = message_from_bytes(head, policy=policy.HTTP).get_param("name", header="content-disposition")
        assert isinstance(name, str)
        read.append((name, content.removesuffix(b"\r\n")))
    return read


def _pattern(template: str) -> str:
    """The end of a path; `{name}` is a segment, or what of it the template leaves."""
    parts = re.split(r"\{(\w+)\}", template)
    named = [f"(?P<{part}>[^/]+?)" if number % 2 else re.escape(part) for number, part in enumerate(parts)]
    return "".join(named) + "$"


def _logged_in(scheme: Mapping[str, Any], asked: Asks, query: Gathered) -> bool:
    if scheme["type"] == "apiKey":
        name = scheme["name"]
        held = asked.headers.get(name.lower(), "") if scheme["in"] == "header" else "".join(query.get(name, []))
        return re.fullmatch(scheme.get("x-format", ".+"), held) is not None
    word, _, told = asked.headers.get("authorization", "").partition(" ")
    if scheme["scheme"] == "basic":
        return word == "Basic" and b":" in base64.b64decode(told, validate=True)
    return word.lower() == scheme["scheme"] and bool(told)


def _read(body: bytes, content_type: str, schema: Mapping[str, Any]) -> Any:
    """What a body holds, by its type; raises ValueError."""
    media_type = content_type.partition(";")[0].strip()
    if media_type == "application/json":
        return json.loads(body, object_pairs_hook=_each_once)
    if media_type == "application/x-www-form-urlencoded":
        pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True)
    elif media_type == "multipart/form-data":
        pairs = [(name, value.decode("latin-1")) for name, value in fields_of(body, content_type)]
    else:
        return body.decode("latin-1")
    properties = schema.get("properties", {})
    return {name: _typed(values, properties.get(name, {})) for name, values in _gathered(pairs).items()}


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def _gathered(fields: Iterable[tuple[str, str]]) -> Gathered:
    found: Gathered = {}
    for name, value in fields:
        found.setdefault(name, []).append(value)
    return found


def _typed(values: list[str], schema: Mapping[str, Any]) -> Any:
    """What texts stand for, where the schema says so; what is given twice is a list."""
    if schema.get("type") == "array":
        return [_typed([value], schema.get("items", {})) for value in values]
    if len(values) > 1:
        return values
    if schema.get("type") in {"integer", "number", "boolean"}:
        with suppress(ValueError):
            return json.loads(values[0])
    return values[0]
