-- Every text of a template that was ever published, the newest first.
\set tenant_id '''default'''
\set template_id '''welcome'''
SELECT v.template_id, v.channel, v.locale, v.version, v.subject, v.body, v.html, v.published_at, v.published_by
  FROM noti.template_versions v
 WHERE v.tenant_id = cast(:tenant_id AS text) AND v.template_id = cast(:template_id AS text)
 ORDER BY v.version DESC, v.channel, v.locale;
