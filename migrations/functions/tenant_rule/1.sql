-- What a word of noti.tenant_tables means as the expression of a policy: `mine`, `shared` (mine, and what has no tenant and holds for
-- all), `named` (as shared, but of accounts that have a tenant, like acme/relay, mine alone), `nobody`; anything else is an expression itself, in which {mine} stands for the first of these.
-- Two forms of the same. Reading: the role's list, once per statement (joined with nothing so that it is unpacked once, too), and an index
-- that begins with the tenant can be used. Writing: a probe per row, however many tenants the role has. Never a function: it would cost
-- several times what the statement costs.
CREATE OR REPLACE FUNCTION noti.tenant_rule(name text, word text, writes boolean) RETURNS text
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- an index serves only the collation that it was made with
  written constant text := (SELECT CASE WHEN a.attcollation <> 'pg_catalog."C"'::regcollation THEN ' COLLATE "default"' ELSE '' END
                              FROM pg_attribute a
                             WHERE a.attrelid = format('noti.%I', name)::regclass AND a.attname = 'tenant_id' AND NOT a.attisdropped);
  role    constant text := 'quote_ident(current_user)::regrole';
  mine    constant text := CASE
      WHEN writes THEN format('EXISTS (SELECT FROM noti.tenant_members m WHERE m.role = %s AND m.tenant_id = %I.tenant_id)', role, name)
      ELSE format('tenant_id = ANY ((SELECT (l.tenants || ''{}''::text[])%s FROM noti.tenant_lists l WHERE l.role = %s)::text[])', written, role) END;
BEGIN
  RETURN CASE word
      WHEN 'mine' THEN mine
      WHEN 'shared' THEN 'tenant_id = '''' OR ' || mine
      WHEN 'named' THEN 'tenant_id = '''' AND (scope <> ''account'' OR strpos(name, ''/'') = 0 OR EXISTS (SELECT FROM noti.tenant_members m WHERE m.role = '
        || role || ' AND starts_with(name, m.tenant_id || ''/''))) OR ' || mine
      WHEN 'nobody' THEN 'false'
      ELSE replace(word, '{mine}', mine) END;
END $$;
