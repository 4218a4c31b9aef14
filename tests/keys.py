"""Private keys as services want them, made anew: none is worth keeping."""

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


def pem(key: Any) -> str:
    """A private key as a file has it."""
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def a_vapid_key() -> str:
    """What an application server of Web Push signs with, and who pushes to Apple: a key of the curve P-256."""
    return pem(ec.generate_private_key(ec.SECP256R1()))


def a_service_account() -> str:
    """The file of a service account, as the Firebase console writes it."""
    document = {
        "type": "service_account",
        "project_id": "shop-4711",
        "private_key_id": "0123456789abcdef",
        "private_key": pem(rsa.generate_private_key(65537, 2048)),
        "client_email": "firebase-adminsdk-x@shop-4711.iam.gserviceaccount.com",
        "client_id": "104711",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return json.dumps(document)
