"""The mail backend of django-post_office's run: Django's dummy, and it notes when it is entered."""

from django.core.mail.backends.dummy import EmailBackend

from tests.bench.peers.stopwatch import Stopwatch

stopwatch = Stopwatch(None)


class Backend(EmailBackend):  # type: ignore[misc]
    """Sends nothing."""

    def send_messages(self, messages: list[object]) -> int:
        """Take them."""
        for _ in messages:
            stopwatch.tick()
        return len(messages)
