"""The sections of what listens: metrics and health on this machine, and what strangers reach."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.setting import about


def _check_listen(listen: str) -> None:
    host, _, port = listen.rpartition(":")
    if not host or re.fullmatch("[0-9]{1,5}", port) is None or int(port) > 65535:
        raise ValueError("write host:port, such as 127.0.0.1:9464 or [::1]:0")


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where metrics and health are served; `configured` tells whether `listen` was set by somebody."""

    listen: str = field(
        default="127.0.0.1:9464",
        metadata=about(
            "host:port of /metrics, /health/live and /health/ready; port 0 takes any free one", check=_check_listen
        ),
    )
    configured: bool = field(default=False, metadata={"derived": True})


def _check_web_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("write https://HOST, with a path where a proxy in front has one")


@dataclass(frozen=True, slots=True)
class WebSettings:
    """What strangers reach: `noti-worker web`, which takes what providers post."""

    listen: str | None = field(
        default=None, metadata=about("host:port of `noti-worker web`; without it there is none", check=_check_listen)
    )
    url: str | None = field(
        default=None,
        metadata=about(
            "the same as providers reach it: `https://HOST`, and the path before ours", check=_check_web_url
        ),
    )
    proxies: tuple[str, ...] = field(
        default=("127.0.0.1", "::1"),
        metadata=about(
            "addresses and networks of proxies in front of it, whose X-Forwarded-For is believed",
            shown="127.0.0.1, ::1",
        ),
    )

    def __post_init__(self) -> None:
        if self.listen is not None and self.url is None:
            raise ConfigurationError("url is missing: say under which address providers reach what listens here")
