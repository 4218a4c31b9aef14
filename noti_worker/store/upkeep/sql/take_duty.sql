-- Take a duty that is due and that nobody else has in hand; a row comes back when it is ours.
--
-- Due means that nine tenths of the period have passed: with the whole period, a clock that ticks a moment
-- early would skip every second run. Who holds it and is dead does not keep it for its whole lease.
\set worker_id 1
\set duty '''example'''
\set every '''1 hour'''
\set lease '''5 minutes'''
INSERT INTO noti.duties AS d (duty, held_by, lease_until)
VALUES (cast(:duty AS text), cast(:worker_id AS bigint), now() + cast(:lease AS interval))
ON CONFLICT (duty) DO UPDATE
   SET held_by = excluded.held_by, lease_until = excluded.lease_until
 WHERE (d.lease_until IS NULL
        OR d.lease_until < now()
        OR EXISTS (SELECT
                     FROM noti.workers w
                    WHERE w.worker_id = d.held_by
                      AND NOT EXISTS (SELECT FROM noti.living l WHERE l.worker_id = w.worker_id)))
   AND (d.last_run IS NULL OR d.last_run <= now() - cast(:every AS interval) * 0.9)
RETURNING d.duty;
