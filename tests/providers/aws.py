"""What the tests of Amazon's services share: keys that are none, no word of this machine's own account, a local AWS."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from os import environ
from typing import Any

import pytest

from tests.providers.api import Asked

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
