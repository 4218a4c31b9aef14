-- The story of one notification, in order.
\set notification_id 1
SELECT s.*
  FROM noti.why(cast(:notification_id AS bigint)) AS s;
