-- The categories that wish content to be kept, mostly none. A tenant's own category comes before that of tenant ''.
\set tenants 'array[''default'', ''default'']'
\set categories 'array[''orders'', ''news'']'
SELECT wanted.tenant_id, wanted.category, own.keep_content
  FROM unnest(cast(:tenants AS text[]), cast(:categories AS text[])) AS wanted (tenant_id, category)
 CROSS JOIN LATERAL (
       SELECT c.keep_content
         FROM noti.categories c
        WHERE c.tenant_id IN (wanted.tenant_id, '') AND c.category = wanted.category
        ORDER BY c.tenant_id DESC
        LIMIT 1) AS own
 WHERE own.keep_content IS NOT NULL;
