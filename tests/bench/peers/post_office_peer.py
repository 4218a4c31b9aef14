"""django-post_office: the dummy backend, batches of 1000, every send logged."""

import sys
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import django
from django.conf import settings
from django.core.mail.backends.dummy import EmailBackend as Dummy
from django.core.management import call_command
from stopwatch import BODY, Stopwatch, asked, say

_AT_A_TIME = 5_000


class Backend(Dummy):
    """Sends nothing, and notes when."""

    stopwatch: Stopwatch

    def send_messages(self, messages: list[object]) -> int:
        """Take them."""
        for _ in messages:
            self.stopwatch.tick()
        return len(messages)


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
        POST_OFFICE={"BACKENDS": {"default": "post_office_peer.Backend"}, "BATCH_SIZE": 1000, "LOG_LEVEL": 2},
    )
    sys.modules["post_office_peer"] = sys.modules["__main__"]
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
    Backend.stopwatch = Stopwatch(sys.maxsize)  # threads count beside each other: its own loop tells the end
    with tempfile.TemporaryDirectory() as directory:
        send_queued_mail_until_done(str(Path(directory) / "lock"), processes=1, log_level=2)
    say("last")


main()
