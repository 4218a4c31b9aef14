"""django-post_office: the dummy backend, batches of 1000, every send logged."""

import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import django
from django.conf import settings
from django.core.management import call_command

from tests.bench.peers.stopwatch import BODY, asked, say

_AT_A_TIME = 5_000


def main() -> None:
    """Fill or work."""
    what, url, rows = asked()
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": parts.path[1:],
                "USER": parts.username,
                "HOST": query["host"][0],
                "PORT": query["port"][0],
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        POST_OFFICE={
            "BACKENDS": {"default": "tests.bench.peers.post_office_backend.Backend"},
            "BATCH_SIZE": 1000,
            "LOG_LEVEL": 2,
        },
    )
    django.setup()
    from post_office.mail import send_queued_mail_until_done
    from post_office.models import PRIORITY, STATUS, Email

    if what == "fill":
        call_command("migrate", verbosity=0)
        mails = (
            Email(
                from_email="shop@example.com",
                to=[f"user{i}@example.com"],
                subject=f"Subject {i}",
                message=BODY,
                status=STATUS.queued,
                priority=PRIORITY.medium,
            )
            for i in range(rows)
        )
        Email.objects.bulk_create(mails, batch_size=_AT_A_TIME)
        return
    with tempfile.TemporaryDirectory() as directory:
        send_queued_mail_until_done(str(Path(directory) / "lock"), processes=1, log_level=2)
    say("last")


if __name__ == "__main__":
    main()
