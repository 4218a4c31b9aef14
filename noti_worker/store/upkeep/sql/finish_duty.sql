-- Give a duty back; its period counts from when it was taken. Nothing happens when it is no longer ours.
\set worker_id 1
\set duty '''example'''
\set lease '''5 minutes'''
\set state '''{}'''
UPDATE noti.duties
   SET held_by = NULL,
       lease_until = NULL,
       last_run = lease_until - cast(:lease AS interval),
       state = cast(:state AS jsonb)
 WHERE duty = cast(:duty AS text) AND held_by = cast(:worker_id AS bigint);
