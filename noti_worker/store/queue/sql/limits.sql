-- The limits, where they are others than at the revision that is known; without any, one row without a scope.
\set known 0
SELECT r.revision, l.scope, l.tenant_id, l.name, l.period, l.amount, extract(epoch FROM l.every)::float8 AS every, l.burst,
       l.zone, extract(epoch FROM l.double_every)::float8 / 86400 AS doubling, l.when_spent = 'refuse' AS refuses
  FROM noti.limits_revision r
  LEFT JOIN noti.limits l ON true
 WHERE r.revision <> cast(:known AS bigint);
