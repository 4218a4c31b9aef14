-- Which quotas that refuse what comes too much will be used up by what waits already: inserts only look whether there is one. Gives how
-- many there are. What waits is counted no further than to the quota.
CREATE OR REPLACE FUNCTION noti.watch_quotas() RETURNS bigint
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
DECLARE
  q     record;
  waits bigint;
BEGIN
  FOR q IN
    SELECT l.tenant_id, l.name, l.period, l.amount,
           greatest(0, l.amount - coalesce(u.taken, 0)) AS room,
           ((date_trunc(l.period, clock_timestamp() AT TIME ZONE l.zone)::date + ('1 ' || l.period)::interval) AT TIME ZONE l.zone) AS until
      FROM noti.limits l
      LEFT JOIN LATERAL (SELECT x.taken FROM noti.usage x
                          WHERE x.scope = l.scope AND x.tenant_id = l.tenant_id AND x.name = l.name AND x.period = l.period
                            AND x.since = date_trunc(l.period, clock_timestamp() AT TIME ZONE l.zone)::date
                          ORDER BY x.n DESC LIMIT 1) AS u ON true
     WHERE l.when_spent = 'refuse'
  LOOP
    SELECT count(*) INTO waits
      FROM (SELECT FROM unnest('{urgent,high,normal,low}'::text[]) AS p (priority)
             CROSS JOIN LATERAL (
                   SELECT FROM noti.notifications_log n
                    WHERE n.channel = q.name AND n.priority = p.priority AND n.tenant_id = q.tenant_id
                      AND n.finished_at IS NULL AND n.held_at IS NULL AND n.claimed_by IS NULL
                    LIMIT q.room) AS row
             LIMIT q.room) AS counted;
    IF waits >= q.room THEN
      INSERT INTO noti.full_quotas AS f VALUES (q.tenant_id, q.name, q.period, q.amount, q.until)
      ON CONFLICT ON CONSTRAINT full_quotas_pkey DO UPDATE SET amount = EXCLUDED.amount, until = EXCLUDED.until
       WHERE f.amount <> EXCLUDED.amount OR f.until <> EXCLUDED.until;
    ELSE
      DELETE FROM noti.full_quotas f WHERE f.tenant_id = q.tenant_id AND f.channel = q.name AND f.period = q.period;
    END IF;
  END LOOP;
  RETURN (SELECT count(*) FROM noti.full_quotas);
END $$;
