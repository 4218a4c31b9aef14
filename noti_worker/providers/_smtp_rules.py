"""What an SMTP answer means: words first, then the enhanced code, then the basic one; the first match wins.

Words come first because codes lie: "550 5.2.1 Mailbox unavailable. Your IP address is blacklisted"
judged by its code would call a living address dead. An answer of the class x.7 (policy) never means
`dead`: one block listing of ours would otherwise cost every customer's address.
"""

from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.rules import Rule

_ANY, _SOFT, _HARD = "[45]..", "4..", "5.."
_NOT_POLICY = r"(?![245]\.7\.).*"
_OF_RECIPIENT = "rcpt|data|dot"  # before, nobody has been named yet of whom an answer could speak

_RATE = (
    r"\brate\b|too (many|fast|quickly)|throttl|slow(ing)? down|\[TS\d+\]|RP-00\d|DYN:T|RLY:B[12]"
    r"|Peak SMTP|unusual (rate|volume|traffic)|limit (exceeded|reached)|exceeded .{0,20}(limit|rate)"
)
_UNKNOWN_USER = (
    r"(unknown|no such|invalid|non-?existent|bad)( \w+){0,2} (user|recipient|mailbox|address|account)"
    r"|(user|recipient|mailbox|account|address)( \S+){0,4} (unknown|does ?n.t exist|does not exist"
    r"|not found|unavailable|is invalid|disabled|inactive|suspended|expired)"
    r"|no mailbox|(inactive|disabled|suspended|expired) (account|user|mailbox)"
)

_BEFORE_THE_MAIL = (
    Rule(Kind.THROTTLED, Scope.DOMAIN, status=_ANY, stage="greeting|ehlo", text="too many"),
    Rule(Kind.CONFIG, Scope.ACCOUNT, status=_HARD, stage="greeting|ehlo|starttls|auth"),
    Rule(Kind.THROTTLED, Scope.ACCOUNT, status=_SOFT, stage="starttls|auth", text=_RATE),
    Rule(Kind.TRANSIENT, Scope.ACCOUNT, status=_SOFT, stage="starttls|auth"),
)

_WORDS = (
    # One row, one recipient: its own refusal for their number can only pass.
    Rule(Kind.TRANSIENT, Scope.MESSAGE, status=_ANY, code=r".\.5\.3"),
    # No wait of its own: a relay, which this provider is made for, does the long waits itself, and the waits
    # of the channel are the operator's choice.
    Rule(
        Kind.TRANSIENT,
        Scope.RECIPIENT,
        status=_SOFT,
        text=r"gr[ea]y[- ]?list|postgrey|temporarily deferred|try again (in|after) \d|come back",
    ),
    Rule(
        Kind.CONFIG,
        Scope.SENDER,
        status=_ANY,
        text=r"black[- ]?list|block[- ]?list|blocked using|spamhaus|reputation|\brbl\b|dnsbl|listed (in|by|on|at)"
        r"|blocked by|\bIP\b.{0,40}(block|list|reject|denied)|\[TSS\d|BL21",
    ),
    Rule(
        Kind.CONFIG,
        Scope.SENDER,
        status=_ANY,
        text=r"\bSPF\b|\bDKIM\b|DMARC|authenticat|not authorized|relay(ing)? (access )?denied"
        r"|sender (verify|address|domain).{0,30}(rejected|fail|not)|reverse (dns|host)|\bPTR\b|helo",
    ),
    # Postfix's "Mailbox size limit exceeded" is a full mailbox and not a big message.
    Rule(Kind.TRANSIENT, Scope.RECIPIENT, status=_ANY, text=r"mailbox (size|storage|quota)"),
    Rule(
        Kind.PERMANENT,
        status=_HARD,
        text=r"message (size|too (large|big))|size (limit )?exceed|exceeds? (the )?(maximum|size|fixed)",
    ),
    # Google's daily sending limit.
    Rule(Kind.THROTTLED, Scope.ACCOUNT, status=_HARD, code=r".\.4\.5", wait=3600.0),
    Rule(Kind.THROTTLED, Scope.RECIPIENT, status=_SOFT, code=r".\.2\.1", text=_RATE),
    Rule(Kind.THROTTLED, Scope.DOMAIN, status=_ANY, text=_RATE),
    Rule(
        Kind.PERMANENT,
        status=_HARD,
        text=r"spam|content (rejected|filter)|virus|malware|suspicious|phish|unsolicited|bulk",
    ),
    Rule(Kind.DEAD, Scope.RECIPIENT, status=_HARD, code=_NOT_POLICY, stage=_OF_RECIPIENT, text=_UNKNOWN_USER),
    Rule(Kind.PERMANENT, Scope.RECIPIENT, status=_HARD, code=r".\.7\..*", stage=_OF_RECIPIENT, text=_UNKNOWN_USER),
    Rule(
        Kind.TRANSIENT,
        Scope.RECIPIENT,
        status=_ANY,
        text=r"over ?-?quota|mailbox (is )?full|quota exceeded|insufficient (system )?storage",
    ),
    # Microsoft's words for an unknown user.
    Rule(
        Kind.DEAD,
        Scope.RECIPIENT,
        status=_HARD,
        code=r".\.4\.1",
        stage=_OF_RECIPIENT,
        text="recipient address rejected: access denied",
    ),
)

# Subject and detail of the enhanced code: the kind after a 4xx, the kind after a 5xx, the scope.
_SUBJECTS = (
    (r"1\.[12346]", Kind.TRANSIENT, Kind.DEAD, Scope.RECIPIENT),
    (r"1\.[78]|7\.27", Kind.TRANSIENT, Kind.CONFIG, Scope.SENDER),
    (r"1\.10", Kind.TRANSIENT, Kind.DEAD, Scope.DOMAIN),
    (r"7\.18", Kind.TRANSIENT, Kind.PERMANENT, Scope.DOMAIN),
    (r"7\.1[37]", Kind.TRANSIENT, Kind.PERMANENT, Scope.RECIPIENT),
    (r"2\.0", Kind.TRANSIENT, Kind.PERMANENT, Scope.RECIPIENT),
    (r"2\.[14]", Kind.TRANSIENT, Kind.DEAD, Scope.RECIPIENT),
    (r"2\.2", Kind.TRANSIENT, Kind.TRANSIENT, Scope.RECIPIENT),
    (r"2\.3", Kind.PERMANENT, Kind.PERMANENT, Scope.MESSAGE),
    (r"3\.[0125]", Kind.TRANSIENT, Kind.TRANSIENT, Scope.DOMAIN),
    (r"3\.4", Kind.PERMANENT, Kind.PERMANENT, Scope.MESSAGE),
    (r"4\.[67]", Kind.TRANSIENT, Kind.PERMANENT, Scope.DOMAIN),
    (r"4\.[1-5]", Kind.TRANSIENT, Kind.TRANSIENT, Scope.DOMAIN),
    (r"[56]\.\d+", Kind.TRANSIENT, Kind.PERMANENT, Scope.MESSAGE),
    (r"7\.(28|38)", Kind.THROTTLED, Kind.THROTTLED, Scope.DOMAIN),
    (r"7\.0", Kind.THROTTLED, Kind.CONFIG, Scope.DOMAIN),
    (r"7\.\d+", Kind.TRANSIENT, Kind.CONFIG, Scope.SENDER),
)

_ENHANCED = tuple(
    Rule(
        kind,
        Scope.SENDER if kind is Kind.CONFIG else scope,
        status=status,
        # The digit of the basic code decides; some servers write another into the enhanced one.
        code=rf".\.({subject})",
        stage=_OF_RECIPIENT if kind is Kind.DEAD else None,
    )
    for subject, soft, hard, scope in _SUBJECTS
    for status, kind in ((_SOFT, soft), (_HARD, hard))
)

_BASIC = (
    Rule(Kind.THROTTLED, Scope.DOMAIN, status="421", stage="mail"),
    Rule(Kind.TRANSIENT, Scope.DOMAIN, status="421|451|455|458|459"),
    Rule(Kind.TRANSIENT, Scope.RECIPIENT, status="450|452"),
    Rule(Kind.TRANSIENT, Scope.ACCOUNT, status="454"),
    Rule(Kind.TRANSIENT, Scope.MESSAGE, status=_SOFT),
    Rule(Kind.PERMANENT, Scope.MESSAGE, status="50[0-4]|552|555"),
    Rule(Kind.CONFIG, Scope.ACCOUNT, status="53[0458]|541"),
    Rule(Kind.CONFIG, Scope.SENDER, status=_HARD, stage="mail"),
    Rule(Kind.DEAD, Scope.DOMAIN, status="521|556", stage="rcpt"),
    Rule(Kind.DEAD, Scope.RECIPIENT, status="551|553", stage="rcpt"),
    Rule(Kind.PERMANENT, Scope.RECIPIENT, status="550"),
    Rule(Kind.PERMANENT, Scope.MESSAGE, status=_HARD),
)

ANSWERS = (*_BEFORE_THE_MAIL, *_WORDS, *_ENHANCED, *_BASIC)
