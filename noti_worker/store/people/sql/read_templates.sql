-- The templates of some tenants, or of all: the newest version, and what there are texts for.
\set tenants 'NULL::text[]'
SELECT t.tenant_id, t.template_id, max(t.version) AS version,
       jsonb_agg(jsonb_build_object('c', t.channel, 'l', t.locale) ORDER BY t.channel, t.locale) FILTER (WHERE t.there) AS texts,
       max(t.published_at) AS published_at, (array_agg(t.published_by ORDER BY t.version DESC))[1] AS published_by
  FROM (SELECT DISTINCT ON (v.tenant_id, v.template_id, v.channel, v.locale)
               v.tenant_id, v.template_id, v.channel, v.locale, v.version, v.published_at, v.published_by,
               coalesce(v.body, v.html) IS NOT NULL AS there
          FROM noti.template_versions v
         WHERE cast(:tenants AS text[]) IS NULL OR v.tenant_id = ANY (cast(:tenants AS text[]))
         ORDER BY v.tenant_id, v.template_id, v.channel, v.locale, v.version DESC) AS t
 GROUP BY t.tenant_id, t.template_id
HAVING bool_or(t.there)
 ORDER BY t.tenant_id, t.template_id;
