-- Tell endpoints what happened; `after` is up to where it is known that everything has its place in the order.
\set after 0
SELECT p.placed, p.told, p.last, p.more, p.failed FROM noti.pump_events(cast(:after AS bigint)) AS p;
