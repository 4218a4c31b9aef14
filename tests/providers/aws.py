"""What the tests of Amazon's services share: keys that are none, a local AWS, and what botocore knows of requests."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from os import environ
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.providers.api import Asked
from tests.providers.description import Asks

REGION = "eu-central-1"
ACCESS_KEY_ID = "AKIDEXAMPLE7Q2ZT4NLW"
SECRET_ACCESS_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SESSION_TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE/+token//w=="


@contextmanager
def nobodys_account() -> Iterator[pytest.MonkeyPatch]:
    """No credentials of this machine are found, nor looked for in the network."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", "/nowhere/config")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield patch


@contextmanager
def local_aws() -> Iterator[str]:
    """The URL of a server that behaves like Amazon's."""
    from moto.server import ThreadedMotoServer

    server: Any = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    server._server.server_close()


def signed_by_botocore(asked: Asked, url: str, service: str, at: datetime, token: str | None) -> str:
    """The `Authorization` that botocore itself gives a request, were it that time."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    same: Any = AWSRequest(
        method=asked.method,
        url=url + asked.path,
        headers={name: text for name, text in asked.headers.items() if name == "content-type"},
        data=asked.body,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.auth.get_current_datetime", lambda: at)
        SigV4Auth(Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY, token), service, REGION).add_auth(same)
    return str(same.headers["Authorization"])


class Model:
    """Operations of a service as botocore's model of it has them; see `description.Describes`."""

    def __init__(self, service: str, *operations: str) -> None:
        self._service, self._operations = service, operations
        self.source = f"botocore's model of {service}"

    def faults(self, asked: Asks) -> Iterator[str]:
        """What is wrong: method, path, login, and parameters."""
        from botocore.loaders import Loader
        from botocore.model import ServiceModel
        from botocore.serialize import create_serializer
        from botocore.validate import ParamValidator

        model: Any = ServiceModel(Loader().load_service_model(self._service, "service-2"), self._service)
        form = dict(parse_qsl(asked.body.decode(), keep_blank_values=True))
        as_form = model.metadata["protocol"] == "query"
        known = {
            (http["method"], http["requestUri"], name if as_form else None): operation
            for name in self._operations
            for operation in [model.operation_model(name)]
            for http in [operation.http]
        }
        operation = known.get((asked.method, asked.path, form.get("Action") if as_form else None))
        if operation is None:
            yield f"{asked.method} {asked.path}: none of {', '.join(self._operations)}"
            return
        if not asked.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 Credential="):
            yield "it is not signed"
        given = _of_query(form) if as_form else _of_json(json.loads(asked.body or b"{}"), operation.input_shape)
        if errors := ParamValidator().validate(given, operation.input_shape).generate_report():
            yield errors
        elif as_form:  # what it does not know it would leave out
            written = create_serializer("query").serialize_to_request(given, operation)["body"]
            if written != form:
                yield f"{set(form.items()) ^ set(written.items())} are not of {operation.name}"


def _of_json(document: Any, shape: Any) -> Any:
    """The parameters that a document stands for."""
    if shape.type_name == "blob":
        return base64.b64decode(document, validate=True)
    if shape.type_name == "structure" and isinstance(document, dict):
        return {
            name: _of_json(value, shape.members[name]) if name in shape.members else value
            for name, value in document.items()
        }
    if shape.type_name == "list" and isinstance(document, list):
        return [_of_json(value, shape.member) for value in document]
    return document


def _of_query(form: Mapping[str, str]) -> dict[str, Any]:
    """The parameters that the fields of a form stand for: a map has `Name` and `Value` of each of its entries."""
    given: dict[str, Any] = {}
    entries: dict[str, dict[str, Any]] = {}
    for name, value in form.items():
        steps = name.split(".")
        if len(steps) == 1:
            given |= {} if name in {"Action", "Version"} else {name: value}
        elif steps[3] == "Name":
            given.setdefault(steps[0], {})[value] = entries.setdefault(steps[2], {})
        else:
            entries.setdefault(steps[2], {})[steps[4]] = value
    return given
