-- Whether a notification that is still here, finished or not, names the attachment; a UUID can be written in several
-- ways. Such an index can only be used by a bitmap scan, which workers switch off for other reasons.
CREATE OR REPLACE FUNCTION noti.attachment_named(id uuid) RETURNS boolean LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp SET enable_bitmapscan = on SET enable_seqscan = off AS $$
  SELECT EXISTS (
    SELECT FROM noti.notifications_log n
     WHERE n.options ? 'attachments'
       AND n.options -> 'attachments' ?| ARRAY[id::text, upper(id::text), replace(id::text, '-', ''), upper(replace(id::text, '-', '')),
                                               '{' || id::text || '}', 'urn:uuid:' || id::text])
$$;
