"""What an SMTP answer means: words first, then the enhanced code, then the basic one; the first match wins.

Words come first because codes lie: "550 5.2.1 Mailbox unavailable. Your IP address is blacklisted"
judged by its code would call a living address dead. An answer of the class x.7 (policy) never means
`dead`: one block listing of ours would otherwise cost every customer's address. A 4xx is never `config`: it may
pass by itself, so it waits long instead of for a person; only a 5xx and what concerns the login are `config`.
"""

from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.rules import Rule

_ANY, _SOFT, _HARD = "[45]..", "4..", "5.."
_NOT_OURS = r"(?![245]\.(7\.|1\.[78]$)).*"  # neither policy nor our sender
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
_REPUTATION = (
    r"black[- ]?list|block[- ]?list|blocked using|spamhaus|reputation|\brbl\b|dnsbl|listed (in|by|on|at)"
    r"|blocked by|\bIP\b.{0,40}(block|list|reject|denied)|\[TSS\d|BL21"
)
_UNPROVEN = (
    r"\bSPF\b|\bDKIM\b|DMARC|authenticat|not authorized|relay(ing)? (access )?denied"
    r"|sender (verify|address|domain).{0,30}(rejected|fail|not)|reverse (dns|host)|\bPTR\b|helo"
)
_LONG = 1800.0  # seconds: a reputation or a name server does not mend in one minute

_BEFORE_THE_MAIL = (
    Rule(
        "smtp.too_many_connections", Kind.THROTTLED, Scope.DOMAIN, status=_ANY, stage="greeting|ehlo", text="too many"
    ),
    Rule("smtp.unwelcome", Kind.CONFIG, Scope.ACCOUNT, status=_HARD, stage="greeting|ehlo|starttls|auth"),
    Rule("smtp.too_many_logins", Kind.THROTTLED, Scope.ACCOUNT, status=_SOFT, stage="starttls|auth", text=_RATE),
    Rule("smtp.no_login_now", Kind.TRANSIENT, Scope.ACCOUNT, status=_SOFT, stage="starttls|auth"),
)

_WORDS = (
    # One row, one recipient: its own refusal for their number can only pass.
    Rule("smtp.too_many_recipients", Kind.TRANSIENT, Scope.MESSAGE, status=_ANY, code=r".\.5\.3"),
    # What was said before there was 452 (RFC 5321, section 4.5.3.1.10).
    Rule(
        "smtp.too_many_recipients.552", Kind.TRANSIENT, Scope.MESSAGE, status="552", text=r"too many (recipients|rcpt)"
    ),
    # No wait of its own: a relay, which this provider is made for, does the long waits itself, and the waits
    # of the channel are the operator's choice.
    Rule(
        "smtp.greylisted",
        Kind.TRANSIENT,
        Scope.RECIPIENT,
        status=_SOFT,
        text=r"gr[ea]y[- ]?list|postgrey|temporarily deferred|try again (in|after) \d|come back",
    ),
    Rule("smtp.reputation_for_now", Kind.THROTTLED, Scope.SENDER, status=_SOFT, text=_REPUTATION, wait=_LONG),
    Rule("smtp.reputation", Kind.CONFIG, Scope.SENDER, status=_HARD, text=_REPUTATION),
    Rule("smtp.sender_unproven_for_now", Kind.THROTTLED, Scope.SENDER, status=_SOFT, text=_UNPROVEN, wait=_LONG),
    Rule("smtp.sender_unproven", Kind.CONFIG, Scope.SENDER, status=_HARD, text=_UNPROVEN),
    # Postfix's "Mailbox size limit exceeded" is a full mailbox and not a big message.
    Rule("smtp.mailbox_limit", Kind.TRANSIENT, Scope.RECIPIENT, status=_ANY, text=r"mailbox (size|storage|quota)"),
    Rule(
        "smtp.too_big",
        Kind.PERMANENT,
        status=_HARD,
        text=r"message (size|too (large|big))|size (limit )?exceed|exceeds? (the )?(maximum|size|fixed)",
    ),
    # Google's daily sending limit.
    Rule(
        "smtp.daily_limit", Kind.THROTTLED, Scope.ACCOUNT, status=_HARD, code=r".\.4\.5", wait=3600.0, unverified=True
    ),
    Rule("smtp.recipient_too_fast", Kind.THROTTLED, Scope.RECIPIENT, status=_SOFT, code=r".\.2\.1", text=_RATE),
    Rule("smtp.too_fast", Kind.THROTTLED, Scope.DOMAIN, status=_ANY, text=_RATE),
    Rule(
        "smtp.content",
        Kind.PERMANENT,
        status=_HARD,
        text=r"spam|content (rejected|filter)|virus|malware|suspicious|phish|unsolicited|bulk",
    ),
    Rule(
        "smtp.unknown_user",
        Kind.DEAD,
        Scope.RECIPIENT,
        status=_HARD,
        code=_NOT_OURS,
        stage=_OF_RECIPIENT,
        text=_UNKNOWN_USER,
    ),
    Rule(
        "smtp.unknown_user_by_policy",
        Kind.PERMANENT,
        Scope.RECIPIENT,
        status=_HARD,
        code=r".\.7\..*",
        stage=_OF_RECIPIENT,
        text=_UNKNOWN_USER,
    ),
    Rule(
        "smtp.mailbox_full",
        Kind.TRANSIENT,
        Scope.RECIPIENT,
        status=_ANY,
        text=r"over ?-?quota|mailbox (is )?full|quota exceeded|insufficient (system )?storage",
    ),
    # Microsoft's words for an unknown user.
    Rule(
        "smtp.access_denied",
        Kind.DEAD,
        Scope.RECIPIENT,
        status=_HARD,
        code=r".\.4\.1",
        stage=_OF_RECIPIENT,
        text="recipient address rejected: access denied",
    ),
)

# Subject and detail of the enhanced code: the name, the kind after a 4xx, the kind after a 5xx, the scope.
_SUBJECTS = (
    ("bad_address", r"1\.[12346]", Kind.TRANSIENT, Kind.DEAD, Scope.RECIPIENT),
    ("bad_sender", r"1\.[78]|7\.27", Kind.TRANSIENT, Kind.CONFIG, Scope.SENDER),
    ("null_mx", r"1\.10", Kind.TRANSIENT, Kind.DEAD, Scope.DOMAIN),
    ("domain_policy", r"7\.18", Kind.TRANSIENT, Kind.PERMANENT, Scope.DOMAIN),
    ("recipient_policy", r"7\.1[37]", Kind.TRANSIENT, Kind.PERMANENT, Scope.RECIPIENT),
    ("mailbox", r"2\.0", Kind.TRANSIENT, Kind.PERMANENT, Scope.RECIPIENT),
    ("mailbox_disabled", r"2\.[14]", Kind.TRANSIENT, Kind.DEAD, Scope.RECIPIENT),
    ("mailbox_full", r"2\.2", Kind.TRANSIENT, Kind.TRANSIENT, Scope.RECIPIENT),
    ("length", r"2\.3", Kind.PERMANENT, Kind.PERMANENT, Scope.MESSAGE),
    ("system", r"3\.[0125]", Kind.TRANSIENT, Kind.TRANSIENT, Scope.DOMAIN),
    ("size", r"3\.4", Kind.PERMANENT, Kind.PERMANENT, Scope.MESSAGE),
    ("loop", r"4\.[67]", Kind.TRANSIENT, Kind.PERMANENT, Scope.DOMAIN),
    ("network", r"4\.[1-5]", Kind.TRANSIENT, Kind.TRANSIENT, Scope.DOMAIN),
    ("protocol_or_content", r"[56]\.\d+", Kind.TRANSIENT, Kind.PERMANENT, Scope.MESSAGE),
    ("rate", r"7\.(28|38)", Kind.THROTTLED, Kind.THROTTLED, Scope.DOMAIN),
    ("security", r"7\.0", Kind.THROTTLED, Kind.CONFIG, Scope.DOMAIN),
    ("policy", r"7\.\d+", Kind.TRANSIENT, Kind.CONFIG, Scope.SENDER),
)

_ENHANCED = tuple(
    Rule(
        f"smtp.enhanced.{name}.{length}",
        kind,
        Scope.SENDER if kind is Kind.CONFIG else scope,
        status=status,
        # The digit of the basic code decides; some servers write another into the enhanced one.
        code=rf".\.({subject})",
        stage=_OF_RECIPIENT if kind is Kind.DEAD else None,
    )
    for name, subject, soft, hard, scope in _SUBJECTS
    for length, status, kind in (("for_now", _SOFT, soft), ("for_good", _HARD, hard))
)

_BASIC = (
    Rule("smtp.closing", Kind.THROTTLED, Scope.DOMAIN, status="421", stage="mail"),
    Rule("smtp.server_trouble", Kind.TRANSIENT, Scope.DOMAIN, status="421|451"),
    Rule("smtp.rare_trouble", Kind.TRANSIENT, Scope.DOMAIN, status="455|458|459", unverified=True),
    Rule("smtp.mailbox_busy", Kind.TRANSIENT, Scope.RECIPIENT, status="450|452"),
    Rule("smtp.login_trouble", Kind.TRANSIENT, Scope.ACCOUNT, status="454"),
    Rule("smtp.refused_for_now", Kind.TRANSIENT, Scope.MESSAGE, status=_SOFT),
    Rule("smtp.protocol", Kind.PERMANENT, Scope.MESSAGE, status="50[0-4]|552|555"),
    Rule("smtp.login_needed", Kind.CONFIG, Scope.ACCOUNT, status="53[0458]|541"),
    Rule("smtp.sender_refused", Kind.CONFIG, Scope.SENDER, status=_HARD, stage="mail"),
    Rule("smtp.takes_no_mail", Kind.DEAD, Scope.DOMAIN, status="521|556", stage="rcpt"),
    Rule("smtp.not_here", Kind.DEAD, Scope.RECIPIENT, status="551|553", stage="rcpt"),
    Rule("smtp.mailbox_refused", Kind.PERMANENT, Scope.RECIPIENT, status="550"),
    Rule("smtp.refused", Kind.PERMANENT, Scope.MESSAGE, status=_HARD),
)

# What only our configuration can mend, by the code of a line that broke.
OURS = "spoke_early|certificate|no_common_tls|not_smtp|no_starttls|no_login|not_loopback"
_SAID = (
    Rule("smtp.accepted", Kind.OK, status="2..", stage="dot"),
    Rule("smtp.let_in", Kind.OK, status="2..", stage="check"),
    Rule("smtp.misconfigured", Kind.CONFIG, Scope.ACCOUNT, status="", code=OURS),
    Rule(
        "smtp.not_sent",
        Kind.TRANSIENT,
        Scope.ACCOUNT,
        status="",
        stage="connect|tls|greeting|ehlo|starttls|auth|mail|rcpt|data",
    ),
    Rule("smtp.not_confirmed", Kind.UNCERTAIN, status="", stage="dot"),
)
# A yes or a question where it was not due: the server lost its way.
_ASTRAY = (
    Rule("smtp.lost_its_way_at_the_end", Kind.UNCERTAIN, Scope.ACCOUNT, status="[^45]..", stage="dot"),
    Rule("smtp.lost_its_way", Kind.TRANSIENT, Scope.ACCOUNT, status="[^45].."),
)

RULES: tuple[Rule, ...] = (*_SAID, *_BEFORE_THE_MAIL, *_WORDS, *_ENHANCED, *_BASIC, *_ASTRAY)
