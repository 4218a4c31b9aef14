-- The entries of the suppression list that are in force for the addresses of rows, mostly none; `place` is empty for the row's
-- own, else where a copy stands in its options. Those of tenant '' are everybody's, those of category '' hold for each; so are
-- categories of tenant '', unless the tenant has its own. :copied are the rows that may have copies.
--
-- By the hash alone: conditions on what may be one of two values would make the look into the index four times as dear.
\set ids 'array[1, 2]'
\set tenants 'array[''default'', ''default'']'
\set channels 'array[''email'', ''email'']'
\set recipients 'array[''ann@example.com'', ''bea@example.com'']'
\set categories 'array['''', ''news'']'
\set copied 'array[1]'
WITH wanted AS (
    SELECT row.*, '' AS place
      FROM unnest(cast(:ids AS bigint[]), cast(:tenants AS text[]), cast(:channels AS text[]), cast(:recipients AS text[]),
                  cast(:categories AS text[])) AS row (id, tenant_id, channel, recipient, category)
    UNION ALL
    SELECT n.notification_id, n.tenant_id, n.channel, copy.value #>> '{}', coalesce(n.category, ''),
           kind.name || '[' || (copy.number - 1)::text || ']'
      FROM unnest(cast(:copied AS bigint[])) AS row (id)
     CROSS JOIN LATERAL (
           SELECT l.notification_id, l.tenant_id, l.channel, l.category, l.options
             FROM noti.notifications_log l WHERE l.notification_id = row.id LIMIT 1) AS n
     CROSS JOIN LATERAL (VALUES ('cc', 'lax $.cc[*]'::jsonpath), ('bcc', 'lax $.bcc[*]')) AS kind (name, path)
     CROSS JOIN LATERAL jsonb_path_query(n.options, kind.path) WITH ORDINALITY AS copy (value, number)
     WHERE jsonb_typeof(copy.value) = 'string'
)
SELECT wanted.id, wanted.place, s.suppression_id, s.reason, s.created_at, s.category,
       s.reason = 'optout' AND coalesce((
           SELECT c.mandatory
             FROM noti.categories c
            WHERE c.tenant_id IN (wanted.tenant_id, '') AND c.category = wanted.category
            ORDER BY c.tenant_id DESC
            LIMIT 1), false) AS mandatory
  FROM wanted
  JOIN noti.suppressions s
    ON s.address_hash = noti.address_hash(wanted.channel, wanted.recipient)
   AND s.lifted_at IS NULL
   AND s.channel = wanted.channel
   AND coalesce(nullif(s.tenant_id, ''), wanted.tenant_id) = wanted.tenant_id
   AND coalesce(nullif(s.category, ''), wanted.category) = wanted.category
 WHERE s.expires_at IS NULL OR s.expires_at > now();
