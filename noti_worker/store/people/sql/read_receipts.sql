-- What providers told, the newest first; a parameter that is NULL asks for nothing. Who has no notification yet is parked while it is
-- looked for, then given up.
\set notification 'NULL::bigint'
\set kinds 'NULL::text[]'
\set accounts 'NULL::text[]'
\set providers 'NULL::text[]'
\set tenants 'NULL::text[]'
\set parked false
\set since 'NULL::timestamptz'
\set span 'NULL::interval'
\set limit 50
SELECT r.receipt_id, r.account, r.provider, r.kind, r.at, r.created_at, r.notification_id, r.tenant_id, r.recipient, r.reference, r.code,
       r.words, r.looks, r.look_at,
       CASE WHEN r.kind = 'replied' THEN 'heard' WHEN r.look_at IS NOT NULL THEN 'parked' WHEN r.tenant_id IS NULL THEN 'given up'
            ELSE 'matched' END AS state
  FROM noti.receipts r
 WHERE (cast(:notification AS bigint) IS NULL OR r.notification_id = cast(:notification AS bigint))
   AND (cast(:kinds AS text[]) IS NULL OR r.kind = ANY (cast(:kinds AS text[])))
   AND (cast(:accounts AS text[]) IS NULL OR r.account = ANY (cast(:accounts AS text[])))
   AND (cast(:providers AS text[]) IS NULL OR r.provider = ANY (cast(:providers AS text[])))
   AND (cast(:tenants AS text[]) IS NULL OR r.tenant_id = ANY (cast(:tenants AS text[])))
   AND (NOT cast(:parked AS boolean) OR r.look_at IS NOT NULL)
   AND (coalesce(cast(:since AS timestamptz), now() - cast(:span AS interval)) IS NULL
        OR r.created_at >= coalesce(cast(:since AS timestamptz), now() - cast(:span AS interval)))
 ORDER BY r.receipt_id DESC
 LIMIT cast(:limit AS bigint);
