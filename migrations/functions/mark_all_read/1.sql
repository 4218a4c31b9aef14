-- The person read all messages up to the newest that was shown (`upto`, an inbox_id; NULL: whatever is there); gives how many were unread.
CREATE OR REPLACE FUNCTION noti.mark_all_read(recipient text, upto bigint DEFAULT NULL, tenant_id text DEFAULT 'default') RETURNS bigint
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  marked bigint;
BEGIN
  UPDATE noti.inbox i SET read_at = clock_timestamp(), seen_at = coalesce(i.seen_at, clock_timestamp())
   WHERE i.tenant_id = mark_all_read.tenant_id AND i.recipient = mark_all_read.recipient AND i.read_at IS NULL
     AND i.inbox_id <= coalesce(mark_all_read.upto, 9223372036854775807);
  GET DIAGNOSTICS marked = ROW_COUNT;
  RETURN marked;
END $$;
