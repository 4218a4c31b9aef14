-- How often what was told, by provider and kind, since an instant or in so long a time; without either ever. Those whose notification was
-- not found are counted apart.
\set since 'NULL::timestamptz'
\set span 'NULL::interval'
SELECT r.provider, r.kind, count(*) AS receipts, count(*) FILTER (WHERE r.look_at IS NOT NULL) AS parked,
       count(*) FILTER (WHERE r.look_at IS NULL AND r.tenant_id IS NULL AND r.kind <> 'replied') AS given_up, max(r.created_at) AS newest_at
  FROM noti.receipts r
 WHERE coalesce(cast(:since AS timestamptz), now() - cast(:span AS interval)) IS NULL
    OR r.created_at >= coalesce(cast(:since AS timestamptz), now() - cast(:span AS interval))
 GROUP BY r.provider, r.kind
 ORDER BY r.provider, r.kind;
