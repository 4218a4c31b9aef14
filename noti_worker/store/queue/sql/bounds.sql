-- What tenants may do at most, of those that have bounds.
SELECT t.tenant_id, t.highest_priority, t.channels, t.providers, t.senders, t.hosts,
       num_nonnulls(t.waiting_rows, t.waiting_bytes) > 0 AS waiting
  FROM noti.tenants t
 WHERE t.bounded;
