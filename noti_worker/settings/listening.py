"""The sections of what listens: metrics and health on this machine, and what strangers reach."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.domain.subscription import Links

SHORTEST_KEY = 32
"""Characters of a key that signs; what `openssl rand -hex 32` prints has 64."""

LONGEST_WEB_URL = 200
"""Characters; a link has to fit into one line of a mail."""

_LINKABLE = re.compile(rf"https://[!-;=?-~]{{1,{LONGEST_WEB_URL - 8}}}")


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
    """What strangers reach: `noti-worker web`, which takes what providers post and lets recipients leave."""

    listen: str | None = field(
        default=None, metadata=about("host:port of `noti-worker web`; without it there is none", check=_check_listen)
    )
    url: str | None = field(
        default=None,
        metadata=about(
            "the same as providers and recipients reach it: `https://HOST`, and the path before ours",
            check=_check_web_url,
        ),
    )
    proxies: tuple[str, ...] = field(
        default=("127.0.0.1", "::1"),
        metadata=about(
            "addresses and networks of proxies in front of it, whose X-Forwarded-For is believed",
            shown="127.0.0.1, ::1",
        ),
    )

    unsubscribe_keys: tuple[Secret, ...] = field(
        default=(),
        metadata=about(
            "references to keys: the first signs the links by which recipients leave a category, each of them is"
            " believed; without one there are no links",
            shown="none",
        ),
    )

    def __post_init__(self) -> None:
        if self.listen is not None and self.url is None:
            raise ConfigurationError("url is missing: say under which address providers reach what listens here")
        if not self.unsubscribe_keys:
            return
        if self.url is None or not _LINKABLE.fullmatch(self.url):
            raise ConfigurationError(
                "unsubscribe_keys asks for links, which begin with url: write https://HOST there, in ASCII (of other"
                f" names the form xn--…), of at most {LONGEST_WEB_URL} characters; mail programs follow no other"
            )
        for key in self.unsubscribe_keys:
            if len(key.reveal()) < SHORTEST_KEY and key.reveal() != "***":
                raise ConfigurationError(
                    f"unsubscribe_keys: a key has fewer than {SHORTEST_KEY} characters; openssl rand -hex 32 prints one"
                )

    @property
    def links(self) -> Links | None:
        """Makes and reads the links by which recipients leave; None where there are none."""
        return Links(self.url, self.unsubscribe_keys) if self.url is not None and self.unsubscribe_keys else None
