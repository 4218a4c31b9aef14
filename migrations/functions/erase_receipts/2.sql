-- One step over the receipts: an address that a provider named, and what was said of messages that were erased. The first step also
-- removes the requests that may name somebody as they came (a role that is bound to tenants leaves them: they may be another's); what is in them was read within seconds.
CREATE OR REPLACE FUNCTION noti.erase_receipts(who text, tenant text, after bigint, step int) RETURNS TABLE (last bigint, seen int, receipts int)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_variable
DECLARE
  ids    bigint[];
  -- in any writing: what is no letter or digit is percent-encoded in a form, and may be escaped in JSON
  pieces constant text := regexp_replace('%' || lower(who COLLATE "C") || '%', '[^a-z0-9]+', '%', 'g');
  begins constant boolean := after <= 0;
  bound  constant boolean := NOT noti.sees_tenant(NULL);
BEGIN
  PERFORM noti.check_tenant(tenant);
  IF bound THEN
    after := greatest(after, (SELECT min(r.receipt_id) FROM noti.receipts r) - 1);
  END IF;
  IF begins AND NOT bound AND char_length(replace(pieces, '%', '')) >= 3 THEN
    DELETE FROM noti.receipts_raw w WHERE w.read_at IS NOT NULL AND lower(concat(w.query, encode(w.body, 'escape')) COLLATE "C") LIKE pieces;
  END IF;
  SELECT CASE WHEN bound THEN (SELECT after + step WHERE after < (SELECT max(r.receipt_id) FROM noti.receipts r)) ELSE max(p.receipt_id) END, count(*), array_agg(p.receipt_id) FILTER (WHERE tenant IS NULL OR p.tenant_id = tenant)
    INTO last, seen, ids
    FROM (SELECT r.receipt_id, r.tenant_id FROM noti.receipts r
           WHERE r.receipt_id > after AND (NOT bound OR r.receipt_id <= after + step AND r.tenant_id = tenant)
           ORDER BY r.receipt_id LIMIT step) AS p;
  UPDATE noti.receipts r SET recipient = c.recipient, words = c.words
    FROM (SELECT l.receipt_id, noti.unnamed(l.recipient, who, false, '[erased]') AS recipient,
                 CASE WHEN n.recipient = '[erased]' AND l.words IS NOT NULL THEN '[erased]' ELSE noti.unnamed(l.words, who, false, '[erased]') END AS words
            FROM noti.receipts l LEFT JOIN noti.notifications_log n ON n.notification_id = l.notification_id
           WHERE l.receipt_id = ANY (ids)) AS c
   WHERE r.receipt_id = c.receipt_id AND (r.recipient, r.words) IS DISTINCT FROM (c.recipient, c.words);
  GET DIAGNOSTICS receipts = ROW_COUNT;
  RETURN NEXT;
END $$;
