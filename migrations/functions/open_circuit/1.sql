-- Open the circuit of an account: no worker tries it before `first_wait` is over, then one message at a time does, after
-- waits that double up to `longest_wait`. Whoever says so first opens it: gives true. One that was closed less than ten
-- minutes ago, and not by hand, waits twice as long as the last time.
CREATE OR REPLACE FUNCTION noti.open_circuit(account text, reason text DEFAULT NULL, opened_by text DEFAULT NULL, first_wait interval DEFAULT '30 seconds', longest_wait interval DEFAULT '10 minutes')
  RETURNS boolean LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  wrong  text;
  opened boolean;
BEGIN
  wrong := CASE
    WHEN coalesce(open_circuit.account, '') = '' THEN 'the account is missing. Name the account that is not to be tried.'
    WHEN octet_length(open_circuit.account) > 256 OR octet_length(open_circuit.reason) > 4096 OR octet_length(open_circuit.opened_by) > 256 THEN
      'the account, the reason or the person is too long. Give at most 256, 4096 and 256 bytes.'
    WHEN open_circuit.first_wait IS NULL OR open_circuit.first_wait < interval '1 millisecond' OR open_circuit.first_wait > interval '366 days' THEN
      'the wait is too short or too long. Give between a millisecond and a year.' END;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'noti: %', wrong USING ERRCODE = 'check_violation', CONSTRAINT = 'circuits_sane';
  END IF;
  INSERT INTO noti.circuits AS c (name, reason, opened_by, wait, longest, retry_at)
  VALUES (open_circuit.account, nullif(open_circuit.reason, ''), coalesce(nullif(open_circuit.opened_by, ''), noti.actor()),
          open_circuit.first_wait, coalesce(open_circuit.longest_wait, interval '10 minutes'), clock_timestamp() + open_circuit.first_wait)
  ON CONFLICT ON CONSTRAINT circuits_pkey DO UPDATE
     SET state = 'open', reason = EXCLUDED.reason, opened_by = EXCLUDED.opened_by, opened_at = clock_timestamp(),
         closed_at = NULL, closed_by = NULL, probe_by = NULL, probe_until = NULL, longest = EXCLUDED.longest,
         openings = CASE WHEN c.openings > 0 AND c.closed_at >= clock_timestamp() - interval '10 minutes' THEN least(c.openings + 1, 1000) ELSE 1 END,
         wait = CASE WHEN c.openings > 0 AND c.closed_at >= clock_timestamp() - interval '10 minutes'
                     THEN greatest(EXCLUDED.wait, least(c.wait * 2, EXCLUDED.longest)) ELSE EXCLUDED.wait END,
         retry_at = clock_timestamp()
                    + CASE WHEN c.openings > 0 AND c.closed_at >= clock_timestamp() - interval '10 minutes'
                           THEN greatest(EXCLUDED.wait, least(c.wait * 2, EXCLUDED.longest)) ELSE EXCLUDED.wait END
   WHERE c.state = 'closed'
  RETURNING true INTO opened;
  RETURN coalesce(opened, false);
END $$;
