"""What is sent in earnest: a mail of text and HTML made from a template, and the payload of a webhook."""

from typing import Any

SUBJECT = "Your order {{ number }}"
TEXT = """Dear {{ name }},

thank you for your order {{ number }}. We have put together:

{% for item in items %}- {{ item.title }}: {{ item.count }} at {{ item.price }}
{% endfor %}
It leaves our house today. You will hear from us when it is on its way.

Kind regards
The shop
"""
HTML = """<!doctype html>
<html><body style="font-family: sans-serif; color: #222">
<p>Dear {{ name }},</p>
<p>thank you for your order <b>{{ number }}</b>. We have put together:</p>
<table cellpadding="4">
{% for item in items %}<tr><td>{{ item.title }}</td><td>{{ item.count }}</td><td>{{ item.price }}</td></tr>
{% endfor %}</table>
<p>It leaves our house today. You will hear from us when it is on its way.</p>
<p>Kind regards<br>The shop</p>
</body></html>
"""
DATA: dict[str, Any] = {
    "name": "Ada Lovelace",
    "items": [{"title": f"Article {number}", "count": number, "price": f"{number}9.90"} for number in range(1, 6)],
}
PAYLOAD: dict[str, Any] = {
    "event": "order.paid",
    "order": {"id": 17, "customer": "Ada Lovelace", "lines": DATA["items"]},
}
KEY = b"0123456789abcdef0123456789abcdef"
