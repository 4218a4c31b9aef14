-- The templates that the rows of a batch name, each once, and only together with their tenant.
\set tenants 'array[''default'']'
\set ids 'array[''welcome'']'
SELECT t.tenant_id, t.template_id, t.subject, t.body, t.html
  FROM unnest(cast(:tenants AS text[]), cast(:ids AS text[])) AS wanted (tenant_id, template_id)
  JOIN noti.templates t ON t.tenant_id = wanted.tenant_id AND t.template_id = wanted.template_id;
