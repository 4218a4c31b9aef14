"""What the services of Amazon share: credentials, addresses and signatures, and the errors that all of them know.

botocore finds credentials and addresses, and signs. It is loaded when an account is built: it costs 100 ms.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.providers._keys import read_token
from noti_worker.transport import Kit, Request
from noti_worker.transport.http import Steps

_TIMEOUT = 5  # seconds, for a request that gets credentials
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/")


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsAccount:
    """Where an account at Amazon lives, and who signs for it; further settings are those of the service."""

    region: str = field(metadata=about("such as `eu-central-1`"))
    access_key_id: Secret | None = field(
        default=None,
        metadata=about(
            "of an access key; without it and without `profile` the usual places are searched: the environment, the"
            " files in `~/.aws`, the role of the container or machine"
        ),
    )
    secret_access_key: Secret | None = field(default=None, metadata=about("the secret of that access key"))
    session_token: Secret | None = field(
        default=None, metadata=about("besides the two, where the access key is a temporary one")
    )
    profile: str | None = field(
        default=None, metadata=about("a profile of `~/.aws/config` or `~/.aws/credentials`, instead of an access key")
    )
    api_url: str = field(default="", metadata=about("another address than Amazon's in that region"))


def common_rules(name: str) -> tuple[Rule, ...]:
    """What every service of Amazon may answer, as rules of the provider `name`.

    https://docs.aws.amazon.com/ses/latest/APIReference-V2/CommonErrors.html
    """
    return (
        Rule(
            f"{name}.clock",
            Kind.CONFIG,
            Scope.ACCOUNT,
            text=r"signature (expired|not yet current)|timestamp.{0,40}(too skewed|expired)",
            status="4..",
        ),
        Rule(
            f"{name}.expired",
            Kind.CONFIG,
            Scope.ACCOUNT,
            code="Request(Expired|TimeTooSkewed)|ExpiredToken(Exception)?",
        ),
        Rule(
            f"{name}.login",
            Kind.CONFIG,
            Scope.ACCOUNT,
            code="(IncompleteSignature|InvalidClientTokenId|UnrecognizedClient|InvalidAccessKeyId|SignatureDoesNotMatch"
            "|InvalidSignature|AccessDenied|OptInRequired|NotAuthorized|MissingAuthenticationToken|InvalidSecurity"
            "|AuthorizationError)(Exception)?",
        ),
        Rule(
            f"{name}.too_fast",
            Kind.THROTTLED,
            Scope.ACCOUNT,
            code="(KMS)?Thrott(ling|led)(Exception)?|TooManyRequests(Exception)?|RequestThrottled(Exception)?",
            wait=5.0,
        ),
        Rule(
            f"{name}.their_side",
            Kind.TRANSIENT,
            Scope.PROVIDER,
            code="(InternalFailure|InternalError|InternalServer|InternalServerError|InternalServiceError"
            "|ServiceUnavailable|RequestTimeout)(Exception)?",
        ),
    )


class Aws:
    """Makes signed requests of one account to one service; used by several threads at once.

    Credentials that end by themselves are fetched anew by botocore, within the try that meets their end and beside its
    limit: a role of the machine asks once for one second each (botocore's settings), a container's address three times
    for two seconds, a role to assume or single sign-on once for five. Only a program that `credential_process` names
    is not bounded.
    """

    def __init__(self, account: AwsAccount, service: str, host: str, kit: Kit) -> None:
        """`service` is its name in signatures, `host` the one in its addresses. Raises ConfigurationError."""
        _check(account)
        self._region, self._service, self._now = account.region, service, kit.now
        self.url = account.api_url.rstrip("/") or _address(host, account.region)
        self._lock = Lock()
        self._session = None if account.access_key_id else _session(account)
        self._credentials = None if self._session else _given(account)

    def post(self, path: str, content_type: str, body: bytes) -> Request | Steps:
        """A signed POST; without credentials nothing is sent, and that is said."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            keys = self._keys()
        except (BotoCoreError, ClientError, OSError, RuntimeError, ValueError) as error:
            return _unsent(type(error).__name__)  # its words may be those of a program that prints credentials
        return _unsent("NoCredentials") if keys is None else self._signed(keys, path, content_type, body)

    def _keys(self) -> Any:
        with self._lock:
            if self._credentials is None and self._session is not None:
                self._credentials = self._session.get_credentials()
            credentials = self._credentials
        return None if credentials is None else credentials.get_frozen_credentials()

    def _signed(self, keys: Any, path: str, content_type: str, body: bytes) -> Request:
        """Signed at the database's time (Signature Version 4).

        Step by step, since botocore's `add_auth` takes this machine's time, and logs a session's token.
        """
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        stamp = self._now().strftime("%Y%m%dT%H%M%SZ")
        headers = {"content-type": content_type, "x-amz-date": stamp}
        if keys.token:
            headers["x-amz-security-token"] = keys.token
        asked = AWSRequest(method="POST", url=self.url + path, headers=headers, data=body)
        asked.context["timestamp"] = stamp
        signer = SigV4Auth(keys, self._service, self._region)
        signature = signer.signature(signer.string_to_sign(asked, signer.canonical_request(asked)), asked)
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={signer.scope(asked)},"
            f" SignedHeaders={signer.signed_headers(signer.headers_to_sign(asked))}, Signature={signature}"
        )
        return Request("POST", self.url + path, headers, body)


def access_key(request: Request) -> tuple[str, ...]:
    """The id of the access key that signed a request, which some answers repeat; empty when none did."""
    return tuple(_CREDENTIAL.findall(request.headers.get("authorization", "")))


def _check(account: AwsAccount) -> None:
    """Refuse what cannot work, naming the key."""
    if not re.fullmatch(r"[a-z]{2,4}(-[a-z0-9]+){1,4}-[0-9]{1,2}", account.region):
        raise ConfigurationError("region is no region of Amazon: write its code, such as eu-central-1")
    given: Mapping[str, Secret | None] = {
        "access_key_id": account.access_key_id,
        "secret_access_key": account.secret_access_key,
        "session_token": account.session_token,
    }
    for key, secret in given.items():
        if secret is None:
            continue
        read_token(key, secret)
        if account.profile is not None:
            raise ConfigurationError(f"profile contradicts {key}: remove one of them")
    if account.access_key_id is None and (account.secret_access_key or account.session_token) is not None:
        raise ConfigurationError("access_key_id is missing")
    if account.access_key_id is not None and account.secret_access_key is None:
        raise ConfigurationError("secret_access_key is missing")


def _address(host: str, region: str) -> str:
    from botocore.loaders import create_loader
    from botocore.regions import EndpointResolver

    found = EndpointResolver(create_loader().load_data("endpoints")).construct_endpoint(host, region)
    if found is None:
        raise ConfigurationError("region is unknown to botocore: correct it, or set api_url")
    return f"https://{found['hostname']}"


def _given(account: AwsAccount) -> Any:
    from botocore.credentials import Credentials

    assert account.access_key_id is not None
    assert account.secret_access_key is not None
    token = account.session_token and account.session_token.reveal()
    return Credentials(account.access_key_id.reveal(), account.secret_access_key.reveal(), token)


def _session(account: AwsAccount) -> Any:
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    session: Any = Session(profile=account.profile)
    try:
        session.get_scoped_config()  # reads the files
    except BotoCoreError as error:
        raise ConfigurationError(f"profile cannot be read ({type(error).__name__}): correct it, or ~/.aws") from None
    session.set_config_variable("region", account.region)
    session.set_default_client_config(
        Config(
            connect_timeout=_TIMEOUT,
            read_timeout=_TIMEOUT,
            retries={"total_max_attempts": 1},
        )
    )
    return session


def _unsent(reason: str) -> Steps:
    yield from ()
    return Said(
        "build",
        code="no_credentials",
        error=f"no credentials for Amazon ({reason}): set access_key_id and secret_access_key, or mend the profile or"
        " the role of this machine",
    )
