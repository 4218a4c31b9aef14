-- A page of a person's messages, the newest first: `most` of them, older than the message `before`. The last inbox_id of a page is the
-- next `before`.
CREATE OR REPLACE FUNCTION noti.inbox_page(recipient text, before bigint DEFAULT NULL, most int DEFAULT 50, tenant_id text DEFAULT 'default')
  RETURNS TABLE (inbox_id bigint, notification_id bigint, subject text, body text, html text, created_at timestamptz, seen_at timestamptz,
                 read_at timestamptz)
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  IF inbox_page.most IS NULL OR inbox_page.most NOT BETWEEN 1 AND 1000 THEN
    RAISE EXCEPTION 'noti: a page has 1 to 1000 messages, not %.', coalesce(inbox_page.most::text, 'NULL') USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN QUERY
  SELECT i.inbox_id, i.notification_id, i.subject, i.body, i.html, i.created_at, i.seen_at, i.read_at
    FROM noti.inbox i
   WHERE i.tenant_id = inbox_page.tenant_id AND i.recipient = inbox_page.recipient
     AND i.inbox_id < coalesce(inbox_page.before, 9223372036854775807)
   ORDER BY i.inbox_id DESC
   LIMIT inbox_page.most;
END $$;
