"""The worker that one writes in an afternoon: SQLAlchemy, one row, its lock held, send, commit."""

from datetime import UTC, datetime

from sqlalchemy import ForeignKey, Index, create_engine, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.bench.peers.stopwatch import BODY, Stopwatch, asked


class Model(DeclarativeBase):
    """Tables."""


class Mail(Model):
    """What is to be sent."""

    __tablename__ = "mail"
    __table_args__ = (Index("mail_waiting", "status", "created_at"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    recipient: Mapped[str]
    subject: Mapped[str]
    body: Mapped[str]
    status: Mapped[str] = mapped_column(default="pending")
    created_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))  # noqa: TID251 (as one does)
    sent_at: Mapped[datetime | None]


class Attempt(Model):
    """What became of it."""

    __tablename__ = "attempt"
    id: Mapped[int] = mapped_column(primary_key=True)
    mail_id: Mapped[int] = mapped_column(ForeignKey("mail.id"))
    outcome: Mapped[str]


def main() -> None:
    """Fill or work."""
    what, url, rows = asked()
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    if what == "fill":
        Model.metadata.create_all(engine)
        mails = [{"recipient": f"user{i}@example.com", "subject": f"Subject {i}", "body": BODY} for i in range(rows)]
        with engine.begin() as connection:
            connection.execute(insert(Mail), mails)
        return
    stopwatch = Stopwatch(rows)
    waiting = (
        select(Mail)
        .where(Mail.status == "pending")
        .order_by(Mail.created_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    while True:
        with Session(engine) as session:
            mail = session.scalars(waiting).one_or_none()
            if mail is None:
                return
            stopwatch.tick()
            mail.status = "sent"
            mail.sent_at = datetime.now(UTC)  # noqa: TID251
            session.add(Attempt(mail_id=mail.id, outcome="sent"))
            session.commit()


if __name__ == "__main__":
    main()
