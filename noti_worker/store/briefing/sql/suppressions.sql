-- The entries of the suppression list that are in force for the addresses of rows, mostly none. Those of tenant '' are
-- everybody's, those of category '' hold for each; so are categories of tenant '', unless the tenant has its own.
--
-- By the hash alone: conditions on what may be one of two values would make the look into the index four times as dear.
\set ids 'array[1, 2]'
\set tenants 'array[''default'', ''default'']'
\set channels 'array[''email'', ''email'']'
\set recipients 'array[''ann@example.com'', ''bea@example.com'']'
\set categories 'array['''', ''news'']'
SELECT wanted.id, s.suppression_id, s.reason, s.created_at, s.category,
       s.reason = 'optout' AND coalesce((
           SELECT c.mandatory
             FROM noti.categories c
            WHERE c.tenant_id IN (wanted.tenant_id, '') AND c.category = wanted.category
            ORDER BY c.tenant_id DESC
            LIMIT 1), false) AS mandatory
  FROM unnest(cast(:ids AS bigint[]), cast(:tenants AS text[]), cast(:channels AS text[]), cast(:recipients AS text[]),
              cast(:categories AS text[])) AS wanted (id, tenant_id, channel, recipient, category)
  JOIN noti.suppressions s
    ON s.address_hash = noti.address_hash(wanted.channel, wanted.recipient)
   AND s.lifted_at IS NULL
   AND s.channel = wanted.channel
   AND coalesce(nullif(s.tenant_id, ''), wanted.tenant_id) = wanted.tenant_id
   AND coalesce(nullif(s.category, ''), wanted.category) = wanted.category
 WHERE s.expires_at IS NULL OR s.expires_at > now();
