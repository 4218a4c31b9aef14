"""The loops that one writes without a worker: `python -m tests.bench.textbook mail|webhook PORT N`.

They print the seconds that N messages took. No database is asked, nothing is recorded.
"""

import base64
import hashlib
import hmac
import json
import smtplib
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from uuid import uuid4

import jinja2
import requests

from tests.bench.content import DATA, HTML, KEY, PAYLOAD, SUBJECT, TEXT

_THREADS = 32


def mail(port: int, count: int) -> None:
    """smtplib on a kept connection, templates compiled once, an EmailMessage each."""
    environment = jinja2.Environment(autoescape=False)
    subject, text, html = (environment.from_string(source) for source in (SUBJECT, TEXT, HTML))
    with smtplib.SMTP("127.0.0.1", port) as server:
        for number in range(count):
            data = DATA | {"number": number}
            message = EmailMessage()
            message["From"] = "Shop <no-reply@example.com>"
            message["To"] = f"user{number}@example.com"
            message["Subject"] = subject.render(data)
            message["Message-ID"] = f"<{uuid4()}@example.com>"
            message.set_content(text.render(data))
            message.add_alternative(html.render(data), subtype="html")
            server.send_message(message)


def webhook(port: int, count: int) -> None:
    """A default requests.Session in each of 32 threads, the body signed."""
    own = threading.local()

    def post(number: int) -> None:
        if not hasattr(own, "session"):
            own.session = requests.Session()
        name, at = str(uuid4()), str(int(time.monotonic()))
        body = json.dumps(PAYLOAD | {"number": number})
        signed = hmac.digest(KEY, f"{name}.{at}.{body}".encode(), hashlib.sha256)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": at,
            "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        }
        own.session.post(f"http://127.0.0.1:{port}/hook", data=body, headers=headers, timeout=10).raise_for_status()

    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(post, range(count)):
            pass


def main() -> None:
    """Run the loop and print its seconds."""
    what, port, count = {"mail": mail, "webhook": webhook}[sys.argv[1]], int(sys.argv[2]), int(sys.argv[3])
    began = time.monotonic()
    what(port, count)
    print(time.monotonic() - began)


if __name__ == "__main__":
    main()
