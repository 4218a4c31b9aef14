-- How bad a receipt is; what is no news of a message ranks last. The worst stays in the notification.
CREATE OR REPLACE FUNCTION noti.receipt_rank(kind text) RETURNS int LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp PARALLEL SAFE
  RETURN coalesce(array_position('{deferred,delivered,read,soft_bounced,unsubscribed,failed,bounced,complained}'::text[], kind), 0);
