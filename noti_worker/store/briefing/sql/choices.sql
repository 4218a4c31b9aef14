-- Of rows whose person is known, or whose category asks for a yes or says how long it is worth sending: the person, and the most
-- exact line of what that person chose: of the category and channel, of the category, of the channel, of everything. A tenant's own
-- category comes before that of tenant ''. Of several people with one address it is whoever came first (+ 0: else
-- the planner might walk the primary key in that order).
\set ids 'array[1, 2]'
\set tenants 'array[''default'', ''default'']'
\set channels 'array[''email'', ''email'']'
\set recipients 'array[''ann@example.com'', ''user:42'']'
\set categories 'array[''orders'', ''news'']'
SELECT wanted.id, person.user_ref, chosen.allowed, chosen.category, chosen.channel, chosen.updated_at, chosen.frequency,
       coalesce(kind.mandatory, false) AS mandatory, coalesce(kind.opt_in, false) AS opt_in,
       extract(epoch FROM kind.expires_after) AS expires_after
  FROM unnest(cast(:ids AS bigint[]), cast(:tenants AS text[]), cast(:channels AS text[]), cast(:recipients AS text[]),
              cast(:categories AS text[])) AS wanted (id, tenant_id, channel, recipient, category)
 CROSS JOIN LATERAL (
       SELECT CASE WHEN starts_with(wanted.recipient, 'user:') THEN substr(wanted.recipient, 6)
                   WHEN wanted.channel = 'in_app' THEN wanted.recipient
                   ELSE (SELECT c.user_ref
                           FROM noti.contacts c
                          WHERE c.address_hash = noti.address_hash(wanted.channel, wanted.recipient)
                            AND c.tenant_id = wanted.tenant_id AND c.channel = wanted.channel AND c.left_at IS NULL
                          ORDER BY c.contact_id + 0
                          LIMIT 1) END AS user_ref
       OFFSET 0) AS person
  LEFT JOIN LATERAL (
       SELECT c.mandatory, c.opt_in, c.expires_after
         FROM noti.categories c
        WHERE c.tenant_id IN (wanted.tenant_id, '') AND c.category = wanted.category
        ORDER BY c.tenant_id DESC
        LIMIT 1) AS kind ON true
  LEFT JOIN LATERAL (
       SELECT p.allowed, p.category, p.channel, p.updated_at, p.frequency
         FROM noti.preferences p
        WHERE p.tenant_id = wanted.tenant_id AND p.user_ref = person.user_ref
          AND p.category IN (wanted.category, '') AND p.channel IN (wanted.channel, '')
        ORDER BY p.category DESC, p.channel DESC
        LIMIT 1) AS chosen ON true
 WHERE person.user_ref IS NOT NULL OR kind.opt_in OR kind.expires_after IS NOT NULL;
