-- A row as it was meant: '' and JSON's null, which form fields and object mappers write for nothing, count as not said.
-- An empty subject or body says something, and an empty tenant_id or recipient is refused.
CREATE OR REPLACE FUNCTION noti.said(n noti.notifications_log) RETURNS noti.notifications_log
  LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  n.template_id     := nullif(n.template_id, '');
  n.locale          := nullif(n.locale, '');
  n.entity_type     := nullif(n.entity_type, '');
  n.entity_id       := nullif(n.entity_id, '');
  n.idempotency_key := nullif(n.idempotency_key, '');
  n.category        := nullif(n.category, '');
  n.provider        := nullif(n.provider, '');
  n.collapse_key    := nullif(n.collapse_key, '');
  n.digest_key      := nullif(n.digest_key, '');
  n.on_uncertain    := nullif(n.on_uncertain, '');
  n.traceparent     := nullif(n.traceparent, '');
  n.priority        := CASE WHEN n.priority = '' THEN 'normal' ELSE n.priority END;
  n.template_data   := nullif(n.template_data, 'null');
  n.options         := nullif(n.options, 'null');
  n.metadata        := nullif(n.metadata, 'null');
  RETURN n;
END $$;
