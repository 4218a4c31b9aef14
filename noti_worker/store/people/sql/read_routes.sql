-- The accounts of each channel with their providers, of all living workers together; in failover order, where it is known.
SELECT r.channel, r.account, r.provider
  FROM noti.living_routes r
 ORDER BY r.worker_id, r.channel, r.position, r.account;
