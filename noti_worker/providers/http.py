"""Any other service over HTTP, described in the configuration: its request as templates, its answers as paths."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.headers import HTTP_HEADERS
from noti_worker.domain.media_type import read_media_type
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import CHAT_OPTIONS, MAIL_OPTIONS, PHONE_OPTIONS, PUSH_OPTIONS, OptionKind
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.domain.traits import Carries
from noti_worker.providers._api import BY_STATUS, ON_THIS_MACHINE, anywhere, asking, is_json, read_json, url_parts
from noti_worker.providers._sms import MAX_SEGMENTS, PLAIN_CHARACTERS, SEGMENTS, as_sms, counted
from noti_worker.providers._templates import Template, Write, as_json, as_text, in_url
from noti_worker.transport import Kit, Reply, Request, Steps

CHANNELS = frozenset({Channel.SMS, Channel.WHATSAPP, Channel.PUSH, Channel.VOICE, Channel.CHAT, Channel.EMAIL})
# E-mail as text to one recipient: what else a mail may have needs more than a template.
OPTIONS = (
    *(option for option in MAIL_OPTIONS if option.name in {"reply_to", "from"}),
    *PHONE_OPTIONS,
    *PUSH_OPTIONS,
    *(option for option in CHAT_OPTIONS if option not in PUSH_OPTIONS),
)
CHECK = "the URL of the key check is answered with success"
LIMITS = (SEGMENTS,)
IDEMPOTENCY = Carries("where its templates put {{ message_id }}", "is as the service has it")
RULES = (
    # A success by its status that is none by `accepted`. Without a code it may be another's page: nobody knows.
    Rule("http.unclear", Kind.UNCERTAIN, Scope.MESSAGE, status="2..", code="", stage="unaccepted"),
    Rule("http.not_accepted", Kind.PERMANENT, status="2..", stage="unaccepted"),
    *BY_STATUS,
)

_FORM = "application/x-www-form-urlencoded"
_ADDRESS = re.compile(r"(?P<scheme>https?)://[\w.:\[\]-]+(?=[/?]|$)")
_CONFIDENTIAL = re.compile(r"(.*[-_])?(authorization|cookie|auth|(api)?-?(key|token|secret|password))", re.IGNORECASE)
_NAMES_RECIPIENT = re.compile(r"\{[{%](?:(?![}%]\}).)*\brecipient\b", re.DOTALL)
_SAMPLE_TEXT = 'She said "hi", \\ and then:\n{[,]} ☃'


@dataclass(frozen=True, slots=True)
class Settings:
    """An account of a service over HTTP."""

    url: str = field(
        metadata=about("where requests go; a template behind the host: what stands in `{{ }}` is percent-encoded")
    )
    method: Literal["post", "put", "patch", "get"] = field(default="post", metadata=about("POST, PUT, PATCH or GET"))
    headers: Mapping[str, str | Secret] = field(
        default_factory=dict,
        repr=False,
        metadata=about("further headers: templates, or references to secrets that hold the whole value", shown="none"),
    )
    basic_auth: Secret | None = field(default=None, metadata=about("a reference to `USER:PASSWORD`"))
    keys: Mapping[str, Secret] = field(
        default_factory=dict,
        metadata=about("references to secrets that templates name: `{{ keys.NAME }}`", shown="none"),
    )
    body: str | None = field(
        default=None,
        repr=False,
        metadata=about("the template of the body; in JSON what stands in `{{ }}` brings its quotes along"),
    )
    form: Mapping[str, str] = field(
        default_factory=dict,
        repr=False,
        metadata=about("instead of `body`: the fields of a form, each a template", shown="none"),
    )
    content_type: str | None = field(
        default=None, metadata=about("the body's: JSON or `text/plain`", shown=f"application/json; {_FORM} with `form`")
    )
    id: str = field(default="", metadata=about("the path in the answer to its id of the message: `data.0.id`"))
    code: str = field(default="", metadata=about("the path to its code; of several, `a.b|c`, the first that is there"))
    words: str = field(default="", metadata=about("the path to its words; without it the beginning of the answer"))
    retry_after: str = field(default="", metadata=about("the path to its wish to wait, in seconds"))
    accepted: str | None = field(
        default=None,
        metadata=about("a regular expression for the whole `code` of a success; without it every 2xx is one"),
    )
    check: str | None = field(
        default=None,
        metadata=about(
            "a URL at the same host that sends nothing and tells by its status whether the login is right, for"
            " `noti-worker provider check`: it is fetched with the same headers; a template of `keys`"
        ),
    )
    max_segments: int = field(default=SEGMENTS.most, metadata=MAX_SEGMENTS)
    plain_characters: bool = field(default=False, metadata=PLAIN_CHARACTERS)
    allow_http: bool = field(default=False, metadata=about("allow a `url` without TLS to another machine"))
    ca_file: str | None = field(
        default=None, metadata=about("certificates (PEM) that are trusted besides the usual ones")
    )

    @property
    def addressed(self) -> bool:
        """Whether a template names the recipient: else all messages go where the account says."""
        templates = (self.url, self.body, *self.form.values(), *self.headers.values())
        return any(isinstance(one, str) and _NAMES_RECIPIENT.search(one) for one in templates)


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender, and a request of a sample; raises ConfigurationError that names the key."""
    here = _checked_address(settings)
    _check(settings)
    translation = _Http(settings)
    translation.try_out()
    return kit.http(
        translation,
        allow_networks=anywhere(kit),
        allow_http=settings.allow_http or here,
        ca_file=settings.ca_file,
    )


def _checked_address(settings: Settings) -> bool:
    """Tell whether requests stay on this machine; the host is the operator's and no row's."""
    address = _ADDRESS.match(settings.url)
    parts = url_parts(address[0] if address else "")
    if not parts.hostname:
        raise ConfigurationError(
            "url is not fixed up to its path: write https://HOST/…, without a login, and {{ }} only behind the host"
        )
    here = parts.hostname in ON_THIS_MACHINE
    if parts.scheme == "http" and not here and not settings.allow_http:
        raise ConfigurationError(
            "url would send keys and messages unencrypted: write https://, or say allow_http = true"
        )
    return here


def _check(settings: Settings) -> None:
    if settings.check is not None and _place(settings.check) != _place(settings.url):
        raise ConfigurationError("check leads to another place than url, which would get the keys: write the same host")
    if settings.body is not None and settings.form:
        raise ConfigurationError("form and body are both given: remove one of them")
    if settings.method == "get" and (settings.body is not None or settings.form):
        raise ConfigurationError("method GET carries no body: put it into the url, or write POST")
    if settings.accepted is not None:
        if not settings.code:
            raise ConfigurationError("accepted is compared with the answer's code: set code, the path to it")
        try:
            re.compile(settings.accepted)
        except re.error as error:
            raise ConfigurationError(f"accepted is no regular expression: {error}") from None
    if settings.basic_auth is not None:
        if ":" not in settings.basic_auth.reveal():
            raise ConfigurationError("basic_auth is not of the form USER:PASSWORD")
        if any(name.lower() == "authorization" for name in settings.headers):
            raise ConfigurationError("basic_auth and headers.Authorization are both given: remove one of them")
    for name, value in settings.headers.items():
        if isinstance(value, str) and _CONFIDENTIAL.fullmatch(name) and "{{" not in value:
            raise ConfigurationError(
                f"headers.{name}: a secret does not stand here itself; write env:NAME or file:PATH for the whole"
                " value, or {{ keys.NAME }} for a part"
            )


def _place(url: str) -> str | None:
    found = _ADDRESS.match(url)
    return found and found[0].lower()


def _content_type(settings: Settings) -> tuple[str | None, Write]:
    """The content type, and how values are written in such a body."""
    given = settings.content_type
    essence = None
    if given is not None:
        try:
            read_media_type(given, "content_type")
        except BadNotification as bad:
            raise ConfigurationError(str(bad)) from None
        essence = given.partition(";")[0].strip().lower()
    if settings.form or essence == _FORM:
        if essence not in {None, _FORM} or not settings.form:
            raise ConfigurationError(f"content_type {_FORM} and form belong together: give both or neither")
        return given or _FORM, as_text
    if settings.body is None:
        return given, as_text
    if essence is None or re.fullmatch(r"application/([a-z0-9.-]+\+)?json", essence):
        return given or "application/json", as_json
    if essence == "text/plain":
        return given, as_text
    raise ConfigurationError(f"content_type {essence} is not known here: write JSON, text/plain, or a form")


class _Http:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._content_type, write = _content_type(settings)
        self._json = write is as_json
        self._keys = {name: key.reveal() for name, key in settings.keys.items()}
        known = self._values(_sample("the subject"))
        self._url = Template("url", settings.url, in_url, known)
        self._check = (
            None if settings.check is None else Template("check", settings.check, in_url, {"keys": self._keys})
        )
        self._body = None if settings.body is None else Template("body", settings.body, write, known)
        self._form = {name: Template(f"form.{name}", one, as_text, known) for name, one in settings.form.items()}
        self._headers = {
            name: Template(f"headers.{name}", one, as_text, known)
            for name, one in settings.headers.items()
            if isinstance(one, str)
        }
        self._fixed = {name: one.reveal() for name, one in settings.headers.items() if isinstance(one, Secret)}
        self._hidden = [*self._keys.values(), *self._fixed.values()]
        if settings.basic_auth is not None:
            login = settings.basic_auth.reveal()
            self._fixed["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
            self._hidden += [self._fixed["Authorization"], login, login.partition(":")[2]]
        self._accepted = None if settings.accepted is None else re.compile(settings.accepted, re.IGNORECASE)
        templates = [one for one in (self._url, self._body, *self._form.values(), *self._headers.values()) if one]
        named = [one.options for one in templates]
        self._carried = None if None in named else frozenset().union(*filter(None, named))

    def try_out(self) -> None:
        """Make requests of samples; raises ConfigurationError that says what a row would be refused for."""
        for tried, message in (
            ("a sample", _sample("the subject")),
            ("a sample without a subject", replace(_sample(None), html=None)),
        ):
            try:
                self._request(message)
            except BadNotification as bad:
                raise ConfigurationError(f"{bad} (tried with {tried})") from None

    def request(self, message: Message) -> Request | Steps:
        if self._carried is not None and (left := sorted(message.options.keys() - self._carried)):
            raise BadNotification(
                f"options.{left[0]} stands in no template of this account and would be lost: leave it out, or have the"
                f" account's body hold {{{{ options.{left[0]} }}}}"
            )
        if message.channel is not Channel.SMS:
            return self._request(message)
        sms = as_sms(message.text or "", self._settings.max_segments, plain=self._settings.plain_characters)
        return counted(sms, self._request(replace(message, text=sms.text)), self.read)

    def _request(self, message: Message) -> Request:
        values = self._values(message)
        try:
            body = self._content(values)
        except UnicodeEncodeError:
            raise BadNotification("the message holds a character that UTF-8 cannot express") from None
        headers = self._filled_headers(values)
        if self._content_type is not None:
            headers["Content-Type"] = self._content_type
        return Request(self._settings.method.upper(), _whole(self._url.fill(values)), headers, body)

    def _filled_headers(self, values: Mapping[str, Any]) -> dict[str, str]:
        return HTTP_HEADERS.read(
            "headers", {name: one.fill(values) for name, one in self._headers.items()} | self._fixed
        )

    def _content(self, values: Mapping[str, Any]) -> bytes:
        if self._form:
            return urlencode({name: one.fill(values) for name, one in self._form.items()}).encode()
        text = "" if self._body is None else self._body.fill(values)
        if self._json and not is_json(text):
            raise BadNotification(
                "body of the account makes no JSON of this message: write {{ text }} there without quotes around it,"
                ' and {{ "words " ~ text }} for words beside it'
            )
        return text.encode()

    def _values(self, message: Message) -> dict[str, Any]:
        """What templates may name."""
        return {
            "recipient": message.recipient,
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "message_id": str(message.message_id),
            "channel": message.channel.value,
            "tenant_id": message.tenant_id,
            "severity": message.options.get("severity", "info"),
            "options": dict(message.options),
            "keys": self._keys,
        }

    def read(self, reply: Reply) -> Said:
        settings = self._settings
        # Which headers hold secrets is known here, and others hold none, such as our message_id.
        reply = replace(reply, request=replace(reply.request, headers={}))
        said = read_json(
            reply,
            id=settings.id,
            code=settings.code,
            words=settings.words,
            hint=settings.retry_after,
            hidden=self._hidden,
        )
        if self._accepted is not None and 200 <= reply.status < 300 and not self._accepted.fullmatch(said.code):
            return replace(said, stage="unaccepted")
        return said

    def check(self) -> Steps | None:
        """A GET of `check`, where the account has it; headers that name a message get those of a sample."""
        if self._check is None:
            return None
        headers = self._filled_headers(self._values(_sample("the subject")))
        return self._looked(asking(_whole(self._check.fill({"keys": self._keys})), headers))

    def _looked(self, request: Request) -> Steps:
        """By its status alone: what `accepted` says is said of a message."""
        reply = yield request
        reply = replace(reply, request=replace(reply.request, headers={}))
        return read_json(reply, words=self._settings.words, hidden=self._hidden)


def _whole(url: str) -> str:
    """The URL, if it leads where its template meant it to."""
    if not url.isprintable() or " " in url or "#" in url:
        raise BadNotification("url of the account makes no URL: it has no spaces, line breaks or #")
    if {".", ".."} & set(url.partition("?")[0].split("/")):
        raise BadNotification("url of the account would lead to another path: what fills it in may not be . or ..")
    return url


class _AnyName(dict[str, str]):
    """What a row names there is its own affair: in the sample every name exists."""

    def __missing__(self, name: str) -> str:
        return "value"


def _sample(subject: str | None) -> Message:
    """A message with all that templates may name, and with what breaks those that are wrong."""
    options: dict[str, Any] = {}
    for option in OPTIONS:
        match option.kind:
            case OptionKind.CHOICE:
                options[option.name] = option.choices[0]
            case OptionKind.SECONDS:
                options[option.name] = 60
            case OptionKind.TEXTS:
                options[option.name] = _AnyName(name="value")
            case _:
                options[option.name] = "value"
    return Message(
        notification_id=0,
        message_id=UUID(int=0),
        channel=Channel.SMS,
        tenant_id="default",
        recipient="recipient",
        account="sample",
        dated_at=datetime(2000, 1, 1, tzinfo=UTC),
        subject=subject,
        text=_SAMPLE_TEXT,
        html="<p>text</p>",
        options=options,
    )
