-- The texts of one template, or of all of a tenant, as of a version (NULL: now).
\set tenant_id '''default'''
\set template_id NULL
\set version NULL
SELECT t.template_id, t.channel, t.locale, t.version, t.subject, t.body, t.html, t.published_at, t.published_by
  FROM (SELECT DISTINCT ON (v.template_id, v.channel, v.locale)
               v.template_id, v.channel, v.locale, v.version, v.subject, v.body, v.html, v.published_at, v.published_by
          FROM noti.template_versions v
         WHERE v.tenant_id = cast(:tenant_id AS text)
           AND (cast(:template_id AS text) IS NULL OR v.template_id = cast(:template_id AS text))
           AND (cast(:version AS int) IS NULL OR v.version <= cast(:version AS int))
         ORDER BY v.template_id, v.channel, v.locale, v.version DESC) AS t
 WHERE coalesce(t.body, t.html) IS NOT NULL
 ORDER BY t.template_id, t.channel, t.locale;
