-- The person read the messages, so they were seen, too; gives how many were unread. What is another person's stays as it is.
CREATE OR REPLACE FUNCTION noti.mark_read(recipient text, inbox_ids bigint[], tenant_id text DEFAULT 'default') RETURNS bigint
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  marked bigint;
BEGIN
  UPDATE noti.inbox i SET read_at = clock_timestamp(), seen_at = coalesce(i.seen_at, clock_timestamp())
   WHERE i.inbox_id = ANY (mark_read.inbox_ids) AND i.tenant_id = mark_read.tenant_id AND i.recipient = mark_read.recipient AND i.read_at IS NULL;
  GET DIAGNOSTICS marked = ROW_COUNT;
  RETURN marked;
END $$;
