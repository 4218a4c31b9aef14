"""The examples at the end of each command's help, and the end of the help of the whole program."""

from collections.abc import Mapping, Sequence

EXAMPLES: Mapping[str, Sequence[str]] = {
    "demo": ("noti-worker demo", "noti-worker demo --keep"),
    "run": (
        "noti-worker run",
        "noti-worker --config /etc/noti-worker/noti-worker.toml run",
        "NOTI_DATABASE_URL=postgresql://noti@/app noti-worker run",
    ),
    "web": ("noti-worker web", "noti-worker --config /etc/noti-worker/noti-worker.toml web"),
    "migrate": (
        "noti-worker migrate",
        "noti-worker migrate --check    # for a deployment: exit code 1 when something is pending",
        "noti-worker migrate --sql > noti.sql",
        "noti-worker migrate --roles-sql | psql -d app    # as an administrator of the server",
    ),
    "fleet": ("noti-worker fleet check", "noti-worker fleet apply --dry-run", "noti-worker fleet status"),
    "fleet check": ("noti-worker fleet check", "noti-worker fleet --file fleet.toml check"),
    "fleet status": ("noti-worker fleet status", "noti-worker fleet status --json"),
    "fleet migrate": (
        "noti-worker fleet migrate --dry-run",
        "noti-worker fleet migrate acme    # first one, to see",
        "noti-worker fleet migrate --keep-going",
    ),
    "fleet apply": (
        "noti-worker fleet apply --dry-run",
        "noti-worker fleet apply --root /tmp/look    # writes the files there, and asks systemd for nothing",
    ),
    "template": (
        "noti-worker template lint templates/",
        "noti-worker template preview order-shipped --from templates/ --locale de",
        "noti-worker template publish templates/",
        "noti-worker template rollback order-shipped",
    ),
    "template list": ("noti-worker template list", "noti-worker template list --tenant acme --json"),
    "template show": ("noti-worker template show order-shipped", "noti-worker template show order-shipped --version 3"),
    "template diff": (
        "noti-worker template diff order-shipped",
        "noti-worker template diff order-shipped 3 5",
        "noti-worker template diff order-shipped --from templates/    # what publishing would change",
    ),
    "template lint": (
        "noti-worker template lint templates/",
        "noti-worker template lint templates/ --strict --json    # in the tests of an application",
    ),
    "template preview": (
        "noti-worker template preview order-shipped --from templates/ --locale de",
        "noti-worker template preview order-shipped --data '{\"order\": 17}' --channel sms",
        "noti-worker template preview order-shipped --from templates/ --open",
    ),
    "template publish": (
        "noti-worker template publish templates/ --dry-run",
        "noti-worker template publish templates/order-shipped.de.html",
    ),
    "template rollback": (
        "noti-worker template rollback order-shipped",
        "noti-worker template rollback order-shipped --to 3",
    ),
    "template test": ("noti-worker template test order-shipped --to me@example.com --data '{\"order\": 17}'",),
    "send": (
        "noti-worker send --channel email --recipient ada@example.com --subject Hello --body 'Hi Ada.' --wait",
        "noti-worker send --channel email --recipient ada@example.com --template hello --data '{}' --send-at 10m",
        "noti-worker send --channel webhook --recipient https://example.com/hooks --body-file - < order.json",
    ),
    "status": ("noti-worker status", "noti-worker status --watch", "noti-worker status --tenant acme"),
    "top": ("noti-worker top", "noti-worker top --json | jq .rates"),
    "pause": (
        "noti-worker pause channel email --reason 'the relay moves' --until 1h",
        "noti-worker pause tenant acme",
        "noti-worker pause everything --dry-run",
    ),
    "circuits": ("noti-worker circuits list", "noti-worker circuits close relay"),
    "circuits list": ("noti-worker circuits list", "noti-worker circuits list --json"),
    "circuits close": ("noti-worker circuits close relay",),
    "circuits open": ("noti-worker circuits open relay --reason 'they said so' --until 2h",),
    "category": ("noti-worker category list", "noti-worker category set offers --opt-in"),
    "category list": ("noti-worker category list", "noti-worker category list --tenant acme --json"),
    "category set": (
        "noti-worker category set orders --mandatory --title 'Your orders' --title-in 'de=Ihre Bestellungen'",
        "noti-worker category set offers --opt-in --channels email,push --expires-after 2d",
        "noti-worker category set offers --window 'weekdays 9-18' --cap 3/7d --keep 90d",
        "noti-worker category set offers --tenant acme --no-opt-in --dry-run",
    ),
    "category remove": ("noti-worker category remove offers --tenant acme",),
    "limit": ("noti-worker limit list", "noti-worker limit set account relay 14/s"),
    "limit list": ("noti-worker limit list", "noti-worker limit list --json"),
    "limit set": (
        "noti-worker limit set account relay 14/s --burst 5",
        "noti-worker limit set channel email 1000/day --tenant acme --zone Europe/Berlin --refuse",
        "noti-worker limit set destination example.com 20/s",
        "noti-worker limit set account relay 50/day --double-every 2d    # a new address that nobody knows yet",
    ),
    "limit remove": (
        "noti-worker limit remove account relay",
        "noti-worker limit remove channel email day --tenant acme",
    ),
    "tenant": ("noti-worker tenant list", "noti-worker tenant suspend acme --reason 'the invoice of May'"),
    "tenant list": ("noti-worker tenant list", "noti-worker tenant list --json"),
    "tenant add": ("noti-worker tenant add acme",),
    "tenant show": ("noti-worker tenant show acme", "noti-worker tenant show acme --json"),
    "tenant set": (
        "noti-worker tenant set acme --channels email,push --highest-priority high",
        "noti-worker tenant set acme --waiting-rows 100k --waiting-bytes 1G",
        "noti-worker tenant set acme --senders 'news@acme.example,*@mail.acme.example' --hosts '*.acme.example'",
        "noti-worker tenant set acme --channels none    # whatever it likes again",
    ),
    "tenant suspend": ("noti-worker tenant suspend acme --reason 'the invoice of May'",),
    "tenant resume": ("noti-worker tenant resume acme",),
    "tenant setting": (
        "noti-worker tenant setting acme",
        "noti-worker tenant setting acme retention_days 30",
        "noti-worker tenant setting acme flag.beta true",
        "noti-worker tenant setting acme flag.beta --remove",
    ),
    "tenant export": ("noti-worker tenant export acme acme.zip",),
    "tenant remove": ("noti-worker tenant remove acme --dry-run", "noti-worker tenant remove acme"),
    "tenant usage": ("noti-worker tenant usage acme 2026-03", "noti-worker tenant usage acme --json"),
    "resume": ("noti-worker resume channel email", "noti-worker resume everything"),
    "list": (
        "noti-worker list --status failed --failed-since 1h",
        "noti-worker list --kind lost --since 1d --status failed",
        "noti-worker list --entity order:17",
        "noti-worker list --recipient ada@example.com --limit 5 --json",
    ),
    "why": (
        "noti-worker why 17",
        "noti-worker why 17 --full    # what the provider answered, word by word",
        "noti-worker why 17 --json",
    ),
    "tail": (
        "noti-worker tail",
        "noti-worker tail --tenant acme --channel email --json",
    ),
    "endpoint": (
        "noti-worker endpoint add crm https://example.com/events --tenant acme --event bounced --event complained",
        "noti-worker endpoint list",
    ),
    "endpoint list": ("noti-worker endpoint list", "noti-worker endpoint list --tenant acme --json"),
    "endpoint add": (
        "noti-worker endpoint add crm https://example.com/events --owner email:ops@example.com",
        "noti-worker endpoint add bounces https://example.com/bounces --event bounced --channel email --tenant acme",
    ),
    "endpoint set": ("noti-worker endpoint set crm --url https://example.com/new --event all",),
    "endpoint enable": ("noti-worker endpoint enable crm --tenant acme",),
    "endpoint disable": ("noti-worker endpoint disable crm --reason 'it moves'",),
    "endpoint remove": ("noti-worker endpoint remove crm --tenant acme",),
    "endpoint recover": (
        "noti-worker endpoint recover crm --since 2d",
        "noti-worker endpoint recover crm --since 2026-03-01T12:00:00Z --tenant acme",
    ),
    "endpoint test": ("noti-worker endpoint test crm", "noti-worker endpoint test crm --timeout 5s --json"),
    "requeue": (
        "noti-worker requeue 17 18",
        "noti-worker requeue --channel email --failed-since 1h --dry-run",
        "noti-worker requeue --account relay --kind config --yes",
        "noti-worker requeue 17 --recipient ada@example.com    # with the right address",
        "noti-worker requeue --status failed --kind uncertain --may-repeat    # also what may have arrived",
    ),
    "retry": ("noti-worker retry 17", "noti-worker retry --account relay", "noti-worker retry --tenant acme --dry-run"),
    "cancel": ("noti-worker cancel 17", "noti-worker cancel --entity order:17 --dry-run"),
    "hold": ("noti-worker hold 17", "noti-worker hold --channel email --category newsletter"),
    "release": (
        "noti-worker release 17",
        "noti-worker release --account relay",
        "noti-worker release --status unknown --channel email --may-repeat --dry-run",
    ),
    "tenant isolate": ("noti-worker tenant isolate --dry-run", "noti-worker tenant isolate"),
    "tenant bind": ("noti-worker tenant bind acme_app acme",),
    "tenant unbind": ("noti-worker tenant unbind acme_app acme",),
    "tenant members": ("noti-worker tenant members --json",),
    "suppression": ("noti-worker suppression list", "noti-worker suppression why ada@example.com"),
    "suppression list": (
        "noti-worker suppression list --reason dead --channel email",
        "noti-worker suppression list --address ada@example.com --past --json",
    ),
    "suppression add": (
        "noti-worker suppression add email ada@example.com --note 'asked by telephone' --reason optout",
        "noti-worker suppression add sms +4915112340001 --until 30d",
    ),
    "suppression lift": (
        "noti-worker suppression lift ada@example.com --dry-run",
        "noti-worker suppression lift ada@example.com --reason optout --as-requested-by 'Ada, by e-mail of 3 March'",
    ),
    "suppression why": ("noti-worker suppression why ada@example.com",),
    "suppression import": (
        "noti-worker suppression import bounced.csv --channel email --reason dead --dry-run",
        "noti-worker suppression import - < bounced.csv",
    ),
    "suppression export": ("noti-worker suppression export list.csv", "noti-worker suppression export --channel sms"),
    "receipts": ("noti-worker receipts list", "noti-worker receipts count --since 1d"),
    "receipts list": (
        "noti-worker receipts list --kind bounced --kind complained --since 1d",
        "noti-worker receipts list --notification 17",
        "noti-worker receipts list --parked --json",
    ),
    "receipts count": ("noti-worker receipts count", "noti-worker receipts count --since 1h --json"),
    "receipts requests": (
        "noti-worker receipts requests --state unread",
        "noti-worker receipts requests --state unreadable --account sendgrid",
    ),
    "retention": ("noti-worker retention --dry-run", "noti-worker retention"),
    "erase": (
        "noti-worker erase ada@example.com --dry-run",
        "noti-worker erase user:17 --tenant acme --yes",
        "pass-the-address | noti-worker erase - --yes --json",
    ),
    "user": ("noti-worker user show 42", "noti-worker user erase 42 --dry-run"),
    "user show": ("noti-worker user show 42", "noti-worker user show 42 --tenant acme --most 100 --json"),
    "user export": ("noti-worker user export 42 --output user-42.json", "noti-worker user export 42 --tenant acme"),
    "user erase": ("noti-worker user erase 42 --dry-run", "noti-worker user erase 42 --tenant acme --yes --json"),
    "doctor": (
        "noti-worker doctor",
        "noti-worker --config noti-worker.toml doctor --json",
        "noti-worker doctor --domains    # SPF, DKIM, DMARC and MX of all domains that mails come from",
        "noti-worker doctor --domain example.com --selector s1 --resolver 9.9.9.9",
    ),
    "config": ("noti-worker config show --origin",),
    "config show": (
        "noti-worker config show --origin",
        "noti-worker --config noti-worker.toml config show --json",
    ),
    "provider": (
        "noti-worker provider list",
        "noti-worker provider check",
        "noti-worker provider test relay --to me@example.com",
    ),
    "provider list": ("noti-worker provider list", "noti-worker provider list --json"),
    "provider check": (
        "noti-worker provider check",
        "noti-worker provider check relay",
        "noti-worker provider check --json | jq '.[] | select(.outcome.kind == \"config\") | .account'",
    ),
    "account": (
        "noti-worker account add mail --tenant acme --provider smtp host=smtp.acme.example from=hello@acme.example",
        "noti-worker account list --tenant acme",
    ),
    "account list": ("noti-worker account list", "noti-worker account list --tenant acme --json"),
    "account show": ("noti-worker account show mail --tenant acme",),
    "account add": (
        "noti-worker account add mail --tenant acme --provider smtp host=smtp.acme.example from=hello@acme.example",
        "noti-worker account add hooks --tenant acme --provider webhook --dry-run",
    ),
    "account set": (
        "noti-worker account set mail --tenant acme port=465 tls=implicit",
        "noti-worker account set mail --tenant acme --disable",
    ),
    "account remove": ("noti-worker account remove mail --tenant acme --dry-run",),
    "account secret": (
        "noti-worker account secret mail password --tenant acme --from-file password.txt",
        "noti-worker account secret mail password --tenant acme --remove",
    ),
    "account route": (
        "noti-worker account route email mail spare --tenant acme",
        "noti-worker account route email mail --tenant acme --then-installation",
    ),
    "account rotate": ("noti-worker account rotate --dry-run", "noti-worker account rotate"),
    "account test": ("noti-worker account test mail --tenant acme --to me@example.com",),
    "provider test": (
        "noti-worker provider test relay --to me@example.com",
        "noti-worker provider test hooks --to https://example.com/hooks --body '{}'",
        "noti-worker provider test trial --channel sms --to +4915112340001 --json",
    ),
    "rules": ("noti-worker rules replay --since 7d",),
    "rules replay": (
        "noti-worker rules replay",
        "noti-worker --config changed.toml rules replay --since 30d --account relay",
        "noti-worker rules replay --rule house.unknown_answer --json",
    ),
    "webhook": ("noti-worker webhook secret https://example.com/hooks",),
    "webhook secret": (
        "noti-worker webhook secret https://example.com/hooks",
        "noti-worker webhook secret https://example.com/hooks --tenant acme --account hooks",
    ),
    "completion": (
        """eval "$(noti-worker completion bash)"    # in ~/.bashrc""",
        """eval "$(noti-worker completion zsh)"     # in ~/.zshrc, after compinit""",
        "noti-worker completion fish > ~/.config/fish/completions/noti-worker.fish",
    ),
    "docs": ("noti-worker docs", "noti-worker docs configuration", "noti-worker docs embedding | less"),
}
"""By command, with its group's name; each is a line for a POSIX shell."""

EXITS: Mapping[str, str] = {
    "migrate": "0 up to date; with --check 1 when migrations are pending",
    "send": "0 queued; with --wait 0 when it was sent, 1 when it was not",
    "erase": "0 done, or nothing found; 1 something was in flight: call again; 2 --yes is missing, and nobody is asked",
    "user erase": "0 done, or nothing found; 1 something was in flight: call again, the addresses are kept until then; "
    "2 --yes is missing, and nobody is asked",
    "doctor": "0 no problem (warnings alone are none), 1 problems, 78 wrong configuration",
    "provider check": "0 none of those that can be asked is refused, 78 one is, or wrongly configured, 1 anything else",
    "provider test": "0 accepted, 78 the account is refused, 1 anything else",
}
"""What the exit codes of a command mean, where it says more than the program's."""

PROGRAM = """\
Without a configured database an embedded PostgreSQL is used, once run or --embedded has made one: started if it is not
up, for the time of the command.

\b
Exit codes:
  0 ok, 1 failed, 2 wrong usage, 78 wrong configuration

\b
Environment:
  NOTI_CONFIG          the configuration file, when --config does not name one
  NOTI_DATABASE_URL    the database
  NOTI_SECTION__KEY    any other setting, like NOTI_WORKER__LEASE=2m

\b
Files:
  /etc/noti-worker/noti-worker.toml    the configuration, when nothing else names one
  ./noti-worker.toml                   when that does not exist, if it is yours

\b
Where to go from here:
  noti-worker demo               see it work, nothing else needed
  noti-worker docs quickstart    your own database, mail server and webhook
  noti-worker doctor             what is wrong, and what to do
  noti-worker why ID             what happened to one notification
"""


def epilog(name: str) -> str:
    """The end of a command's help."""
    parts = ["\b\nExamples:\n" + "".join(f"  {line}\n" for line in EXAMPLES[name])]
    if name in EXITS:
        parts.append(f"\b\nExit codes:\n  {EXITS[name]}\n")
    return "\n".join(parts)
