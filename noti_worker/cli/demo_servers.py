"""What the demo sends to: an SMTP inbox with TLS and login, and a webhook receiver that checks signatures."""

import asyncio
import base64
import hashlib
import hmac
import logging
import ssl
import threading
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"


def certificate(directory: Path) -> Path:
    """Write a self-signed certificate for 127.0.0.1, key and all, into `directory`; gives the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "noti-worker demo")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2049, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = directory / "demo.pem"
    file.touch(mode=0o600)
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return file


class Inbox:
    """An SMTP server on a free port: STARTTLS and login demanded, `greylist` deferred once, `nobody` refused."""

    def __init__(self, certificate_file: Path, username: str, password: str) -> None:
        """Prepare; `start` opens the port."""
        self._username = username.encode()
        self._password = password.encode()
        self._deferred: set[str] = set()
        self.messages: list[EmailMessage] = []
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate_file)
        self._options: dict[str, Any] = {
            "hostname": HOST,
            "tls_context": context,
            "require_starttls": True,
            "auth_required": True,
            "authenticator": self._login,
        }
        logging.getLogger("mail.log").addHandler(logging.NullHandler())  # the terminal is for the demo
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="inbox", daemon=True)
        self.port = 0

    def start(self) -> None:
        """Open a free port: `port`."""
        self._thread.start()
        listening = asyncio.run_coroutine_threadsafe(
            self._loop.create_server(lambda: SMTP(self, loop=self._loop, **self._options), HOST, 0), self._loop
        )
        self._server = listening.result(10)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Close it."""
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _login(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        ok = (
            isinstance(data, LoginPassword)
            and hmac.compare_digest(data.login, self._username)
            and hmac.compare_digest(data.password, self._password)
        )
        return AuthResult(success=ok, handled=ok)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Defer a greylisted address once, refuse an unknown one, take the rest."""
        if address.startswith("nobody@"):
            return "550 5.1.1 No such user here"
        if address.startswith("greylist") and address not in self._deferred:
            self._deferred.add(address)
            return "451 4.7.1 Greylisted, please try again in a moment"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the message."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        self.messages.append(message_from_bytes(content, _class=EmailMessage, policy=policy.default))
        return f"250 2.0.0 Kept as message {len(self.messages)}"


class Receiver:
    """A webhook receiver on a free port; counts posts whose Standard Webhooks signature is right."""

    def __init__(self, secret: str) -> None:
        """`secret` is the account's, `whsec_…`."""
        self.signed = 0
        receiver = self
        key = base64.b64decode(secret.removeprefix("whsec_"))

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + body
                digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
                good = hmac.compare_digest(f"v1,{digest}", self.headers.get("webhook-signature", ""))
                receiver.signed += good
                self.send_response(204 if good else 401)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature of http.server
                """Keep the terminal for the demo."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True)

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://{HOST}:{self._server.server_address[1]}/hooks/orders"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
