-- Everything but the schema itself, which holds alembic's version table.
DROP VIEW noti.dead, noti.queue;
DROP FUNCTION noti.assert_invariants(), noti.why(bigint), noti.next_step(noti.notifications_log), noti.instant(timestamptz),
  noti.masked(text, text), noti.requeue(bigint), noti.release(bigint), noti.hold(bigint), noti.cancel(bigint);
DROP FUNCTION noti.send;
DROP TABLE noti.duties, noti.workers, noti.inbox, noti.attachments, noti.templates, noti.audit_log, noti.notification_attempts_log;
DROP SEQUENCE noti.worker_ids;
DROP FUNCTION noti.fault(noti.notifications_log);
DROP TABLE noti.notifications_log;
DROP FUNCTION noti.on_odd_insert(), noti.on_insert(), noti.on_update(), noti.on_unfinished_delete(), noti.on_truncate(), noti.on_audit_change(), noti.actor();
