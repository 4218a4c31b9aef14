-- The accounts, of these, that this worker alone may try now, with one message each. Whoever dies holding one loses it.
CREATE OR REPLACE FUNCTION noti.take_probes(worker bigint, accounts text[], lease interval) RETURNS SETOF text
  LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
  WITH mine AS MATERIALIZED (
    SELECT c.name FROM noti.circuits c
     WHERE c.scope = 'account' AND c.tenant_id = '' AND c.name = ANY (take_probes.accounts)
       AND c.state = 'open' AND c.retry_at <= clock_timestamp()
       AND (c.probe_until IS NULL OR c.probe_until < clock_timestamp() OR c.probe_by = take_probes.worker
            OR NOT EXISTS (SELECT FROM noti.living l WHERE l.worker_id = c.probe_by))
     ORDER BY c.name FOR NO KEY UPDATE SKIP LOCKED)
  UPDATE noti.circuits c SET probe_by = take_probes.worker, probe_until = clock_timestamp() + take_probes.lease
    FROM mine WHERE c.scope = 'account' AND c.tenant_id = '' AND c.name = mine.name
  RETURNING c.name
$$;
