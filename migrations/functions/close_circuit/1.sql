-- Close the circuit of an account by hand; true when it was open. What it went through is forgotten: the next time is a first time.
CREATE OR REPLACE FUNCTION noti.close_circuit(account text, closed_by text DEFAULT NULL)
  RETURNS boolean LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  UPDATE noti.circuits c
     SET state = 'closed', closed_at = clock_timestamp(), closed_by = coalesce(nullif(close_circuit.closed_by, ''), noti.actor()),
         openings = 0, probe_by = NULL, probe_until = NULL
   WHERE c.scope = 'account' AND c.name = close_circuit.account AND c.state = 'open';
  RETURN FOUND;
END $$;
