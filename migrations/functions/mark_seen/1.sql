-- The messages were shown to the person; gives how many were new. What is another person's stays as it is.
CREATE OR REPLACE FUNCTION noti.mark_seen(recipient text, inbox_ids bigint[], tenant_id text DEFAULT 'default') RETURNS bigint
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  marked bigint;
BEGIN
  UPDATE noti.inbox i SET seen_at = clock_timestamp()
   WHERE i.inbox_id = ANY (mark_seen.inbox_ids) AND i.tenant_id = mark_seen.tenant_id AND i.recipient = mark_seen.recipient AND i.seen_at IS NULL;
  GET DIAGNOSTICS marked = ROW_COUNT;
  RETURN marked;
END $$;
