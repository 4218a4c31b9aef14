-- The time zones by which rows are read: of the contact with this address, or of the person (its own channel's contact goes first), else
-- of the tenant. A person's contacts are compared as rows and put in order, which the index of addresses cannot do.
\set ids 'array[1, 2]'
\set tenants 'array[''default'', ''default'']'
\set channels 'array[''email'', ''email'']'
\set recipients 'array[''ann@example.com'', ''user:42'']'
SELECT wanted.id, known.zone
  FROM unnest(cast(:ids AS bigint[]), cast(:tenants AS text[]), cast(:channels AS text[]), cast(:recipients AS text[]))
         AS wanted (id, tenant_id, channel, recipient)
 CROSS JOIN LATERAL (
       SELECT coalesce(
                (SELECT c.zone
                   FROM noti.contacts c
                  WHERE wanted.recipient NOT LIKE 'user:%'
                    AND c.address_hash = noti.address_hash(wanted.channel, wanted.recipient)
                    AND c.tenant_id = wanted.tenant_id AND c.channel = wanted.channel
                    AND c.left_at IS NULL AND c.zone IS NOT NULL
                  LIMIT 1),
                (SELECT p.zone
                   FROM (SELECT c.*
                           FROM noti.contacts c
                          WHERE wanted.recipient LIKE 'user:%'
                            AND (c.tenant_id, c.user_ref) >= (wanted.tenant_id, substr(wanted.recipient, 6))
                            AND (c.tenant_id, c.user_ref) <= (wanted.tenant_id, substr(wanted.recipient, 6))
                          ORDER BY c.tenant_id, c.user_ref, c.channel, c.address_hash
                          LIMIT 50) AS p
                  WHERE p.left_at IS NULL AND p.zone IS NOT NULL
                  ORDER BY p.channel = wanted.channel DESC, p.place, p.contact_id
                  LIMIT 1),
                (SELECT s.value #>> '{}'
                   FROM noti.settings s
                  WHERE s.tenant_id = wanted.tenant_id AND s.key = 'zone'
                  LIMIT 1)) AS zone
       OFFSET 0) AS known
 WHERE known.zone IS NOT NULL;
