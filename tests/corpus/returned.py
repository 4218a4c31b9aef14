"""The mails of `bounces/` that come back, filled in for one notification."""

from pathlib import Path
from string import Template
from uuid import UUID

HERE = Path(__file__).parent / "bounces"

MESSAGE_ID = UUID("0b6a3c1e-8f52-4d57-9c8e-3f1f6a7b2d10")


def names() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.eml"))


def returned(
    name: str,
    return_path: str = "bounce@example.com",
    recipient: str = "ada@example.net",
    notification_id: int = 17,
    message_id: UUID = MESSAGE_ID,
) -> bytes:
    """The mail as it comes over the wire."""
    text = Template((HERE / f"{name}.eml").read_text()).substitute(
        return_path=return_path, recipient=recipient, notification_id=notification_id, message_id=message_id
    )
    return text.replace("\n", "\r\n").encode()
