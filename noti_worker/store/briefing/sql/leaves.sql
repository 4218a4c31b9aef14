-- The rows whose category can be left, each with the hash of its address. A tenant's own category comes before that of tenant ''.
\set ids 'array[1, 2]'
\set tenants 'array[''default'', ''default'']'
\set channels 'array[''email'', ''email'']'
\set recipients 'array[''ann@example.com'', ''bea@example.com'']'
\set categories 'array[''orders'', ''news'']'
SELECT wanted.id, known.address_hash
  FROM unnest(cast(:ids AS bigint[]), cast(:tenants AS text[]), cast(:channels AS text[]), cast(:recipients AS text[]),
              cast(:categories AS text[])) AS wanted (id, tenant_id, channel, recipient, category)
 CROSS JOIN LATERAL (
       SELECT noti.address_hash(wanted.channel, wanted.recipient) AS address_hash
        WHERE (SELECT c.can_be_left
                 FROM noti.categories c
                WHERE c.tenant_id IN (wanted.tenant_id, '') AND c.category = wanted.category
                ORDER BY c.tenant_id DESC
                LIMIT 1)
       OFFSET 0) AS known
 WHERE known.address_hash IS NOT NULL;
