"""A topic of SNS: it signs by a certificate of its own, served over real TLS behind a proxy, and is subscribed.

What else `pages` has is served there, too: the API of SES, for one.
"""

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid5

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from noti_worker.domain.receipts import Posted
from noti_worker.domain.secret import Secret
from noti_worker.transport import Kit
from tests.certificates import Authority
from tests.forward_proxy import ForwardProxy
from tests.providers.contract import NOW
from tests.providers.receipts import MESSAGE_ID, URL

REGION = "eu-central-1"
HOST = f"sns.{REGION}.amazonaws.com"
SES_HOST = f"email.{REGION}.amazonaws.com"
ARN = f"arn:aws:sns:{REGION}:123456789012:noti-receipts"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CERTIFICATE = "/SimpleNotificationService-9c6465fa7f48f5cacd23014631ec1136.pem"


def certificate(until: datetime = datetime(2049, 1, 1, tzinfo=UTC)) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(17)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(until)
        .sign(KEY, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def envelope(message: Any, at: datetime = NOW, **changes: Any) -> dict[str, Any]:
    """What https://docs.aws.amazon.com/sns/latest/dg/http-notification-json.html shows, not signed yet."""
    text = message if isinstance(message, str) else json.dumps(message)
    said = {
        "Type": "Notification",
        "MessageId": str(uuid5(MESSAGE_ID, text)),
        "TopicArn": ARN,
        "Message": text,
        "Timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "SignatureVersion": "1",
        "SigningCertURL": f"https://{HOST}{CERTIFICATE}",
        "UnsubscribeURL": f"https://{HOST}/?Action=Unsubscribe",
    }
    return said | changes


def confirmation(**changes: Any) -> dict[str, Any]:
    """What SNS posts when the URL was subscribed."""
    asked = {
        "Type": "SubscriptionConfirmation",
        "Token": "2336412f37fb687f5d51e6e2425c464de",
        "SubscribeURL": f"https://{HOST}/?Action=ConfirmSubscription&TopicArn={ARN}&Token=2336412f37",
    }
    return envelope(f"You have chosen to subscribe to the topic {ARN}.", **(asked | changes))


def signed(said: dict[str, Any]) -> Posted:
    """Sign by the order of the names, those that are there."""
    names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{said[name]}\n" for name in names if name in said)
    algorithm = hashes.SHA256() if said.get("SignatureVersion") == "2" else hashes.SHA1()
    signature = KEY.sign(text.encode(errors="replace"), padding.PKCS1v15(), algorithm)
    body = json.dumps({**said, "Signature": b64encode(signature).decode()}).encode()
    return Posted(body, {"content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": str(said.get("Type"))})


@dataclass
class Topic:
    """What the server at SNS's address was asked for, and what it answers there."""

    proxy: ForwardProxy
    pages: dict[str, bytes]
    asked: list[str] = field(default_factory=list)

    @property
    def kit(self) -> Kit:
        """Of an account whose way out is the proxy, which knows where SNS is."""
        return Kit(lambda: NOW).of(1, Secret(self.proxy.url), proxy_guards=True, receipts_url=Secret(URL))


@contextmanager
def topic(authority: Authority) -> Iterator[Topic]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            served.asked.append(self.path)
            page = served.pages.get(self.path.partition("?")[0])
            self.send_response(200 if page is not None else 404)
            self.send_header("Content-Length", str(len(page or b"")))
            self.end_headers()
            self.wfile.write(page or b"")

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = authority.server_context(HOST, SES_HOST).wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    with ForwardProxy() as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(authority.ca_file))
        proxy.names[HOST] = proxy.names[SES_HOST] = f"127.0.0.1:{server.server_address[1]}"
        served = Topic(proxy, {CERTIFICATE: certificate(), "/": b"<ConfirmSubscriptionResponse/>"})
        yield served
    server.shutdown()
    server.server_close()
    thread.join(10)
