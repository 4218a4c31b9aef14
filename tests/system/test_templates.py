"""A published template on its whole way: composed, in the row's language, sent, and told with its version."""

from email import message_from_bytes
from typing import Any

import psycopg

from tests.providers.smtp_server import Inbox
from tests.system.daemon import Daemons
from tests.system.test_delivery import Finished


def test_a_mail_is_made_of_its_language_its_layout_and_the_version_it_pins(
    daemons: Daemons, inbox: Inbox, relay: str, connection: psycopg.Connection[Any], finished: Finished
) -> None:
    daemons.configure(relay)
    daemons.start_ready()
    publish = "SELECT noti.publish(%s, %s)"
    connection.execute(publish, ["_layout", '[{"html": "<h1>Shop</h1>{% block content %}{% endblock %}"}]'])
    english = (
        '{"subject": "Order {{ n }}", "html": "{% extends \\"_layout\\" %}{% block content %}on its way{% endblock %}"}'
    )
    german = (
        english.replace("Order", "Bestellung").replace("on its way", "unterwegs").replace("{", '{"locale": "de", ', 1)
    )
    connection.execute(publish, ["shipped", f"[{english}, {german}]"])
    connection.execute(publish, ["shipped", f"[{german.replace('unterwegs', 'bald da')}]"])
    for locale, version in [("de-AT", 1), ("de-AT", None), ("fr", None)]:
        connection.execute(
            "SELECT noti.send('email', %s, template_id => 'shipped', template_data => '{\"n\": 17}', locale => %s,"
            " template_version => %s)",
            [f"{locale}.{version}@example.com", locale, version],
        )
    finished()
    mails = {mail.recipients[0].partition("@")[0]: message_from_bytes(mail.content) for mail in inbox.mails}
    said = {}
    for name, mail in mails.items():
        html = next(part for part in mail.walk() if part.get_content_type() == "text/html")
        payload = html.get_payload(decode=True)
        assert isinstance(payload, bytes)
        said[name] = (mail["Subject"], payload.decode().strip())
    assert said == {
        "de-AT.1": ("Bestellung 17", "<h1>Shop</h1>unterwegs"),
        "de-AT.None": ("Bestellung 17", "<h1>Shop</h1>bald da"),
        "fr.None": ("Order 17", "<h1>Shop</h1>on its way"),
    }
    told = connection.execute(
        "SELECT n.recipient, w.detail FROM noti.notifications_log n, noti.why(n.notification_id) w"
        " WHERE w.event = 'try 1'"
    ).fetchall()
    words = {recipient.partition("@")[0]: detail for recipient, detail in told}
    assert "written from shipped version 1 (de)" in words["de-AT.1"]
    assert "written from shipped version 2 (de)" in words["de-AT.None"]
    assert "written from shipped version 1," in words["fr.None"] + ","
