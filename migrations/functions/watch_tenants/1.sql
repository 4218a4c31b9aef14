-- Which tenants have as much waiting as they may: inserts only look whether it is so. Gives how many there are. Counted no further than
-- to the bound; sizes are those of the contents as they are stored.
CREATE OR REPLACE FUNCTION noti.watch_tenants() RETURNS bigint
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
DECLARE
  t     noti.tenants;
  full_ text;
  waits bigint;
  size  numeric;
BEGIN
  FOR t IN SELECT x.* FROM noti.tenants x WHERE x.bounded AND num_nonnulls(x.waiting_rows, x.waiting_bytes) > 0 LOOP
    SELECT count(*), sum(counted.size) INTO waits, size
      FROM (SELECT row.size
              FROM (SELECT c.channel, p.priority
                      FROM unnest('{email,sms,whatsapp,push,voice,chat,webhook,in_app}'::text[]) AS c (channel)
                     CROSS JOIN unnest('{urgent,high,normal,low}'::text[]) AS p (priority)) AS lane
             CROSS JOIN LATERAL (
                   SELECT CASE WHEN t.waiting_bytes IS NOT NULL THEN
                             coalesce(pg_column_size(n.subject), 0) + coalesce(pg_column_size(n.body), 0) + coalesce(pg_column_size(n.template_data), 0)
                             + coalesce(pg_column_size(n.options), 0) + coalesce(pg_column_size(n.metadata), 0) END AS size
                     FROM noti.notifications_log n
                    WHERE n.channel = lane.channel AND n.priority = lane.priority AND n.tenant_id = t.tenant_id
                      AND n.finished_at IS NULL AND n.held_at IS NULL
                    LIMIT t.waiting_rows) AS row
             UNION ALL
            SELECT CASE WHEN t.waiting_bytes IS NOT NULL THEN
                             coalesce(pg_column_size(n.subject), 0) + coalesce(pg_column_size(n.body), 0) + coalesce(pg_column_size(n.template_data), 0)
                             + coalesce(pg_column_size(n.options), 0) + coalesce(pg_column_size(n.metadata), 0) END
              FROM noti.notifications_log n
             WHERE n.held_at IS NOT NULL AND n.tenant_id = t.tenant_id
             LIMIT t.waiting_rows) AS counted;
    full_ := CASE WHEN waits >= t.waiting_rows THEN 'rows' WHEN size >= t.waiting_bytes THEN 'bytes' END;
    IF full_ IS DISTINCT FROM t.refuses THEN
      UPDATE noti.tenants x SET refuses = full_ WHERE x.tenant_id = t.tenant_id;
    END IF;
  END LOOP;
  RETURN (SELECT count(*) FROM noti.tenants x WHERE x.bounded AND x.refuses IS NOT NULL);
END $$;
