"""What the demo shows: the notifications, the SQL that asks for them, and the configuration of their worker."""

from collections.abc import Sequence

INSERTS: Sequence[tuple[str, str]] = (
    (
        "an e-mail that is taken at once",
        """
        INSERT INTO noti.notifications_log (channel, recipient, subject, body)
        VALUES ('email', 'ada@example.com', 'Your invoice', 'Thank you, Ada.')
        RETURNING notification_id""",
    ),
    (
        "one whose mail server defers it first (greylisting)",
        """
        INSERT INTO noti.notifications_log (channel, recipient, subject, body)
        VALUES ('email', 'greylist@example.com', 'Welcome', 'Good to have you.')
        RETURNING notification_id""",
    ),
    (
        "one to an address that does not exist",
        """
        INSERT INTO noti.notifications_log (channel, recipient, subject, body)
        VALUES ('email', 'nobody@example.com', 'Hello?', 'Is anybody there?')
        RETURNING notification_id""",
    ),
    (
        "one scheduled a few seconds ahead",
        """
        INSERT INTO noti.notifications_log (channel, recipient, subject, body, send_at)
        VALUES ('email', 'grace@example.com', 'Reminder', 'It is time.', now() + interval '4 seconds')
        RETURNING notification_id""",
    ),
    (
        "one with an idempotency key",
        """
        SELECT noti.send('email', 'linus@example.com', 'Order 17', 'On its way.', idempotency_key => 'order-17')""",
    ),
    (
        "the same again: same key, same id, nothing is sent twice",
        """
        SELECT noti.send('email', 'linus@example.com', 'Order 17', 'On its way.', idempotency_key => 'order-17')""",
    ),
    (
        "one scheduled for tomorrow, and cancelled",
        """
        INSERT INTO noti.notifications_log (channel, recipient, subject, body, send_at)
        VALUES ('email', 'kurt@example.com', 'Never mind', 'Too late.', now() + interval '1 day')
        RETURNING notification_id""",
    ),
    (
        "a signed webhook",
        """
        INSERT INTO noti.notifications_log (channel, recipient, body, entity_type, entity_id)
        VALUES ('webhook', '{url}', '{{"event": "order.paid", "order": 17}}', 'order', '17')
        RETURNING notification_id""",
    ),
    (
        "an in-app message",
        """
        INSERT INTO noti.notifications_log (channel, recipient, subject, body)
        VALUES ('in_app', 'user:42', 'Welcome back', 'Three things happened while you were away.')
        RETURNING notification_id""",
    ),
    (
        "an SMS to the sandbox, which sends nothing",
        """
        INSERT INTO noti.notifications_log (channel, recipient, body)
        VALUES ('sms', '+4915112340000', 'Your code is 4711.')
        RETURNING notification_id""",
    ),
    (
        "a push, likewise",
        """
        INSERT INTO noti.notifications_log (channel, recipient, subject, body)
        VALUES ('push', 'token-of-her-phone', 'Order 17', 'At your door in ten minutes.')
        RETURNING notification_id""",
    ),
    (
        "a chat message that the sandbox refuses, as its recipient asks",
        """
        INSERT INTO noti.notifications_log (channel, recipient, subject, body)
        VALUES ('chat', '#refused', 'Disk full', 'db1: 98 % of /var')
        RETURNING notification_id""",
    ),
)
"""What each notification is for, and the plain SQL that asks for it."""

CONFIG = """\
[database]
url = "{database}"

[accounts.inbox]
provider = "smtp"
host = "{host}"
port = {smtp_port}
tls = "starttls"
ca_file = "{ca_file}"
username = "noti"
password = "file:{directory}/smtp-password"
from = "Demo <no-reply@example.com>"

[accounts.hooks]
provider = "webhook"
secret = "file:{directory}/webhook-secret"
allow_http = true                  # only because the receiver is on this machine
allow_networks = ["127.0.0.0/8"]

[accounts.elsewhere]
provider = "sandbox"
channels = ["sms", "push", "chat"]

[channels.email]
retry = {{ initial_delay = "2s" }}   # so that you need not wait a minute for the greylisted one

[http]
listen = "127.0.0.1:0"
"""
"""What the worker of the demo is configured with."""

STATES = """
SELECT n.notification_id, n.channel, n.recipient, n.status, n.attempt_count, n.error_message,
       n.finished_at IS NOT NULL AS finished, extract(epoch FROM n.due_at - now())::float8 AS due_in,
       extract(epoch FROM coalesce(n.sent_at, n.finished_at) - n.created_at)::float8 AS took,
       clock_timestamp() AS now
  FROM noti.notifications_log n ORDER BY n.notification_id
"""
"""The rows as they stand."""
