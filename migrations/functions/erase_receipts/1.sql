-- One step over the receipts: an address that a provider named, and what was said to whom was erased. The first step also removes the
-- requests that may name somebody as they came; what is in them was read within seconds. A dry run looks into no text.
CREATE OR REPLACE FUNCTION noti.erase_receipts(who text, tenant text, after bigint, step int, dry_run boolean)
  RETURNS TABLE (last bigint, seen int, receipts int)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_variable
DECLARE
  ids   bigint[];
  -- plain in any writing of a request: in a form's + and @ are percent-encoded
  plain constant text := (SELECT run FROM regexp_split_to_table(lower(who COLLATE "C"), '[^a-z0-9]+') AS run ORDER BY char_length(run) DESC LIMIT 1);
BEGIN
  receipts := 0;
  SELECT max(p.receipt_id), count(*), array_agg(p.receipt_id) FILTER (WHERE tenant IS NULL OR p.tenant_id = tenant)
    INTO last, seen, ids
    FROM (SELECT r.receipt_id, r.tenant_id FROM noti.receipts r WHERE r.receipt_id > after ORDER BY r.receipt_id LIMIT step) AS p;
  IF NOT dry_run THEN
    IF after <= 0 AND char_length(plain) >= 3 THEN
      DELETE FROM noti.receipts_raw w
       WHERE w.read_at IS NOT NULL AND strpos(lower(concat(w.query, encode(w.body, 'escape')) COLLATE "C"), plain) > 0;
    END IF;
    UPDATE noti.receipts r SET recipient = c.recipient, words = c.words
      FROM (SELECT l.receipt_id, noti.unnamed(l.recipient, who, false, '[erased]') AS recipient,
                   CASE WHEN n.recipient = '[erased]' AND l.words IS NOT NULL THEN '[erased]' ELSE noti.unnamed(l.words, who, false, '[erased]') END AS words
              FROM noti.receipts l LEFT JOIN noti.notifications_log n ON n.notification_id = l.notification_id
             WHERE l.receipt_id = ANY (ids)) AS c
     WHERE r.receipt_id = c.receipt_id AND (r.recipient, r.words) IS DISTINCT FROM (c.recipient, c.words);
    GET DIAGNOSTICS receipts = ROW_COUNT;
  END IF;
  RETURN NEXT;
END $$;
