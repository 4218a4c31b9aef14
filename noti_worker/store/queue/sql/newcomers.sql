-- The lanes of the :rows newest rows that are due and in nobody's hand, those of tenants that a database role is bound to
-- first, then the one with the newest row: whoever invents tenants stays behind those that are known.
--
-- Asked for while there are more lanes than one look finds: who comes now must not wait until the looks come round to
-- him. Walks back from the end of the primary key, whatever lies there: the caller bounds the time that it takes.
\set channels 'array[''email'']'
\set rows 2000
\set window 200
SELECT row.channel, row.priority, row.tenant_id, min(row.due_at) AS due_at
  FROM (
       SELECT n.*
         FROM noti.notifications_log n
        ORDER BY n.notification_id DESC
        LIMIT cast(:rows AS bigint)
       ) AS row
 WHERE row.channel = ANY (cast(:channels AS text[]))
   AND row.finished_at IS NULL
   AND row.held_at IS NULL
   AND row.lease_until IS NULL
   AND row.due_at <= now()
 GROUP BY row.channel, row.priority, row.tenant_id
 ORDER BY row.tenant_id IN (SELECT m.tenant_id FROM noti.tenant_members m) DESC, max(row.notification_id) DESC
 LIMIT cast(:window AS bigint);
