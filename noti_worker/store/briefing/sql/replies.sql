-- When the recipients of WhatsApp messages last wrote to an account, for each account that surely hears what is written to it:
-- somebody wrote to it within a day, and somebody before that. Accounts of tenant '' are everybody's.
\set ids 'array[1, 2]'
\set tenants 'array[''default'', ''default'']'
\set recipients 'array[''+4915112345'', ''+4915167890'']'
WITH RECURSIVE known AS (
    SELECT whose.tenant_id, account.account
      FROM (SELECT '' UNION SELECT unnest(cast(:tenants AS text[]))) AS whose (tenant_id)
     CROSS JOIN LATERAL (
           SELECT r.account FROM noti.replies r WHERE r.tenant_id = whose.tenant_id ORDER BY r.account LIMIT 1) AS account
    UNION ALL
    SELECT known.tenant_id, account.account
      FROM known
     CROSS JOIN LATERAL (
           SELECT r.account
             FROM noti.replies r
            WHERE r.tenant_id = known.tenant_id AND r.account > known.account
            ORDER BY r.account
            LIMIT 1) AS account
),
hearing AS (
    SELECT known.tenant_id, known.account
      FROM known
     WHERE EXISTS (SELECT FROM noti.replies r
                    WHERE r.tenant_id = known.tenant_id AND r.account = known.account
                      AND r.heard_at > now() - interval '1 day')
       AND EXISTS (SELECT FROM noti.replies r
                    WHERE r.tenant_id = known.tenant_id AND r.account = known.account
                      AND r.heard_at < now() - interval '1 day')
)
SELECT wanted.id, hearing.account, r.heard_at
  FROM unnest(cast(:ids AS bigint[]), cast(:tenants AS text[]), cast(:recipients AS text[]))
       AS wanted (id, tenant_id, recipient)
  JOIN hearing ON hearing.tenant_id IN ('', wanted.tenant_id)
  LEFT JOIN noti.replies r
    ON r.tenant_id = hearing.tenant_id
   AND r.account = hearing.account
   AND r.channel = 'whatsapp'
   AND r.address_hash = noti.address_hash('whatsapp', wanted.recipient);
