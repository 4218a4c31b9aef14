"""Mixed traffic: a twentieth fails, one account is down, and something of everything else that happens."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg


@contextmanager
def configuration() -> Iterator[str]:
    """E-mail goes through an account that is down, then through the sandbox; everything else through the sandbox.

    The first one has a rate that nothing reaches; the mailbox of bounces is down.

    A fourth account sends nothing, and its provider tells of what the others sent.
    """
    with socket.socket() as deaf, TemporaryDirectory() as directory:
        token = Path(directory, "token")
        token.write_text("0123456789abcdef")
        deaf.bind(("127.0.0.1", 0))  # bound and not listening: whoever calls is refused, and nobody else takes the port
        yield (
            f'[accounts.relay]\nprovider = "smtp"\nhost = "127.0.0.1"\nport = {deaf.getsockname()[1]}\ntls = "none"\n'
            'from = "Shop <no-reply@example.com>"\nrate = "1000/s"\n[accounts.box]\nprovider = "sandbox"\n'
            f'[accounts.told]\nprovider = "postmark"\nserver_token = "file:{token}"\nfrom = "shop@example.com"\n'
            f'receipt_token = "file:{token}"\n[web]\nurl = "https://hooks.example.com"\n'
            f'[bounces.back]\nreturn_path = "bounce@example.com"\nkey = "file:{token}"\nhost = "127.0.0.1"\n'
            f'port = {deaf.getsockname()[1]}\ntls = "none"\nusername = "bounce"\npassword = "file:{token}"\n'
            '[routes]\nemail = ["relay", "box"]\n'
            + "".join(
                f'[channels.{channel}]\nretry = {{ initial_delay = "1s", jitter = 0.0 }}\n{more}'
                for channel, more in {
                    "email": "",
                    "sms": "",
                    "push": "",
                    "voice": "concurrency = 1\n",
                    "webhook": 'on_uncertain = "hold"\n',
                }.items()
            )
        )


def insert_round(connection: psycopg.Connection[Any], number: int) -> None:
    """37 notifications that are sent or fail within seconds: 20 e-mails (one fails), 10 SMS, 5 pushes, 2 in the app.

    Meanwhile a provider has told of 5 that were sent before, and every second time of one that bounced.
    """
    connection.execute(
        "INSERT INTO noti.notifications_log"
        " (channel, recipient, subject, body, tenant_id, priority, entity_type, entity_id)"
        " SELECT 'email', CASE i WHEN 7 THEN 'refused' ELSE 'user' END || %(n)s * 100 + i || '@example.com',"
        " 'Hi', 'Body', (ARRAY['default', 'acme', 'globex'])[i %% 3 + 1],"
        " (ARRAY['normal', 'high', 'urgent', 'low'])[i %% 4 + 1],"
        " 'order', ((%(n)s - 1) * 20 + i)::text FROM generate_series(0, 19) i",
        {"n": number},
    )
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, max_retries)"
        " SELECT 'sms', '+49151' || lpad((%(n)s * 100 + i)::text, 6, '0')"
        " || CASE WHEN i = 3 AND %(n)s %% 2 = 1 THEN '0005' ELSE '9999' END, 'Body', 0 FROM generate_series(0, 9) i",
        {"n": number},
    )
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, subject, body)"
        " SELECT 'push', CASE i WHEN 0 THEN 'greylisted-' ELSE 'token-' END || %(n)s || '-' || i, 'Hi', 'Body'"
        " FROM generate_series(0, 4) i UNION ALL"
        " SELECT 'in_app', 'user:' || i, 'Hi', 'Body' FROM generate_series(0, 1) i",
        {"n": number},
    )
    connection.execute(
        "INSERT INTO noti.receipts_raw (account, provider, body)"
        " SELECT 'told', 'postmark', convert_to(jsonb_build_object('RecordType', told.what,"
        " 'MessageID', gen_random_uuid(), 'DeliveredAt', '2026-03-01T12:00:00Z', 'ID', %(n)s * 100 + i,"
        " 'Type', 'HardBounce', 'TypeCode', 1, 'Metadata',"
        " jsonb_build_object('notification_id', n.notification_id::text, 'message_id', n.message_id))::text, 'UTF8')"
        " FROM generate_series(0, 5) i"
        " CROSS JOIN LATERAL (SELECT CASE i WHEN 5 THEN 'Bounce' ELSE 'Delivery' END AS what) AS told"
        " JOIN noti.notifications_log n ON n.notification_id = %(n)s + i WHERE i < 5 OR %(n)s %% 2 = 1",
        {"n": number},
    )


def insert_specials(connection: psycopg.Connection[Any]) -> None:
    """What is not just sent: held, unknown, expired, throttled, scheduled, slow, paused, unwanted, an endless one."""
    connection.execute(
        "INSERT INTO noti.templates (template_id, subject, body) VALUES ('endless', 'Hi',"
        " '" + "{% for a in range(1000) %}" * 3 + "{% endfor %}" * 3 + "')"
    )
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, template_id) VALUES ('push', 'token', 'endless')"
    )
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body)"
        " SELECT 'chat', 'misconfigured-' || i, 'Body' FROM generate_series(1, 2) i UNION ALL"
        " SELECT 'webhook', 'https://example.com/broken/' || i, '{}' FROM generate_series(1, 3) i UNION ALL"
        " SELECT 'voice', '+4915112' || i || '0008', 'Body' FROM generate_series(10, 15) i UNION ALL"
        " SELECT 'sms', '+49151123450006', 'Body'"
    )
    connection.execute(
        "INSERT INTO noti.limits (scope, tenant_id, name, period, amount)"
        " VALUES ('tenant channel', 'initech', 'push', 'month', 5)"
    )
    connection.execute(  # when the limit is known
        "INSERT INTO noti.notifications_log (tenant_id, channel, recipient, body, send_at)"
        " SELECT 'initech', 'push', 'initech-' || i, 'Body', now() + '5 s' FROM generate_series(1, 4) i"
    )
    connection.execute("SELECT noti.pause('template', 'autumn', 'wrong prices')")
    connection.execute("INSERT INTO noti.templates (template_id, subject, body) VALUES ('autumn', 'Hi', 'Body')")
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, template_id)"
        " SELECT 'email', 'autumn' || i || '@example.com', 'autumn' FROM generate_series(1, 4) i"
    )
    connection.execute(
        "INSERT INTO noti.notifications_log (tenant_id, channel, recipient, subject, body, send_at, expires_at)"
        " SELECT 'acme', 'email', 'late' || i || '@example.com', 'Late', 'Body', now() + '1 s', now() + '1 s'"
        " FROM generate_series(1, 2) i UNION ALL"
        " SELECT 'acme', 'email', 'tomorrow' || i || '@example.com', 'Later', 'Body', now() + '1 day', NULL"
        " FROM generate_series(1, 7) i"
    )
    connection.execute("SELECT noti.suppress('acme', 'email', 'enough@example.com', 'complaint')")
    connection.execute(
        "INSERT INTO noti.notifications_log (tenant_id, channel, recipient, subject, body)"
        " SELECT 'acme', 'email', 'Enough <enough@example.com>', 'Hi', 'Body' FROM generate_series(1, 3)"
    )


def insert_minute(connection: psycopg.Connection[Any], minute: int) -> None:
    """What comes once a minute: chat, webhooks, voice, reminders for later; every tenth time something that stays."""
    connection.execute(
        "INSERT INTO noti.notifications_log"
        " (channel, recipient, body, tenant_id, priority, entity_type, entity_id, send_at)"
        " SELECT 'chat', 'room-' || i, 'Body', 'acme', 'normal', NULL, NULL, NULL::timestamptz"
        " FROM generate_series(1, 12) i"
        " UNION ALL SELECT 'webhook', 'https://example.com/hook/' || i, '{}', 'globex', 'high', NULL, NULL, NULL"
        " FROM generate_series(1, 15) i"
        " UNION ALL SELECT 'voice', '+49151' || lpad((%(n)s * 100 + i)::text, 6, '0') || '0008', 'Body', 'default',"
        " 'normal', NULL, NULL, NULL FROM generate_series(1, 20) i"
        " UNION ALL SELECT 'sms', '+49151' || lpad((%(n)s * 100 + i)::text, 6, '0') || '9999', 'Reminder', 'default',"
        " 'low', 'parcel', (%(n)s + i)::text, now() + '7 min' FROM generate_series(1, 10) i",
        {"n": minute},
    )
    if minute % 10 == 1:
        connection.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id)"
            " VALUES ('chat', 'misconfigured-' || %(n)s, 'Body', 'acme'),"
            " ('webhook', 'https://example.com/broken/' || %(n)s, '{}', 'globex'),"
            " ('sms', '+49151' || lpad(%(n)s::text, 6, '0') || '0006', 'Body', 'default')",
            {"n": minute},
        )


def insert_calls(connection: psycopg.Connection[Any], count: int) -> None:
    """More slow calls at once than the workers can make: these wait."""
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id)"
        " SELECT 'voice', '+4915177' || lpad(i::text, 3, '0') || '0008', 'Body', 'acme' FROM generate_series(1, %s) i",
        [count],
    )


def insert_order(connection: psycopg.Connection[Any], order: str) -> None:
    """What an order of a shop brings: a confirmation, a push that needs a second try, an SMS that fails, a reminder."""
    connection.execute(
        "INSERT INTO noti.notifications_log"
        " (channel, recipient, subject, body, max_retries, entity_type, entity_id, send_at)"
        " VALUES ('email', 'zoe@example.com', 'Your order', 'Body', 3, 'order', %(order)s, NULL),"
        " ('push', 'greylisted-zoe', 'Shipped', 'Body', 3, 'order', %(order)s, NULL),"
        " ('sms', '+491511234560005', NULL, 'Body', 1, 'order', %(order)s, NULL),"
        " ('email', 'zoe@example.com', 'How was it?', 'Body', 3, 'order', %(order)s, now() + '1 day')",
        {"order": order},
    )
