-- noti.why(id): the story of one notification, in words and in columns, without addresses or bodies.
CREATE FUNCTION noti.why(id bigint)
  RETURNS TABLE (at timestamptz, event text, detail text, by text, attempt_number int, account text, provider text, kind text, code text, duration_ms bigint)
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT a.created_at, a.action, a.metadata::text, a.action_by, NULL::int, a.metadata->>'account', NULL, a.metadata->>'kind', NULL, NULL::bigint
  FROM noti.audit_log a WHERE a.entity_id = why.id::text AND a.entity_type = 'notification'
  ORDER BY 1
$$;
