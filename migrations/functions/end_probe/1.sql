-- What a probe brought: `ok` closes the circuit, else the wait doubles, from `first_wait` to `longest_wait`. Only its holder is heard.
CREATE OR REPLACE FUNCTION noti.end_probe(account text, worker bigint, ok boolean, reason text, first_wait interval, longest_wait interval)
  RETURNS boolean LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  UPDATE noti.circuits c
     SET state = CASE WHEN end_probe.ok THEN 'closed' ELSE 'open' END,
         closed_at = CASE WHEN end_probe.ok THEN clock_timestamp() END,
         closed_by = CASE WHEN end_probe.ok THEN 'worker ' || end_probe.worker::text END,
         reason = CASE WHEN end_probe.ok THEN c.reason ELSE end_probe.reason END,
         openings = c.openings + CASE WHEN end_probe.ok OR c.openings >= 1000 THEN 0 ELSE 1 END,
         longest = coalesce(end_probe.longest_wait, c.longest),
         wait = CASE WHEN end_probe.ok THEN c.wait ELSE greatest(end_probe.first_wait, least(c.wait * 2, end_probe.longest_wait)) END,
         retry_at = CASE WHEN end_probe.ok THEN c.retry_at
                         ELSE clock_timestamp() + greatest(end_probe.first_wait, least(c.wait * 2, end_probe.longest_wait)) END,
         probed_at = clock_timestamp(), probe_by = NULL, probe_until = NULL
   WHERE c.scope = 'account' AND c.tenant_id = '' AND c.name = end_probe.account AND c.state = 'open' AND c.probe_by = end_probe.worker;
  RETURN FOUND;
END $$;
