-- One step back over the notifications of a tenant: which of :step before an id went to a person. `names` are compared as they
-- stand, `addresses` in the one writing of an address, and `clues` tell what may be one: a call costs ten times what a look costs.
\set tenant '''default'''
\set names 'array[''user:42'']'
\set addresses 'array[''ann@example.com'']'
\set clues 'array[''ann@example.com'']'
\set phones false
\set before 9223372036854775807
\set step 10000
SELECT min(p.notification_id) AS last, count(*) AS seen,
       coalesce(array_agg(p.notification_id ORDER BY p.notification_id DESC) FILTER (WHERE p.theirs), '{}') AS ids
  FROM (SELECT l.notification_id,
               l.tenant_id = cast(:tenant AS text)
               AND CASE WHEN l.recipient = ANY (cast(:names AS text[])) THEN true
                        WHEN l.channel = 'email' AND (octet_length(l.recipient) <> char_length(l.recipient)
                             OR EXISTS (SELECT FROM unnest(cast(:clues AS text[])) AS c (clue) WHERE strpos(lower(l.recipient COLLATE "C"), c.clue) > 0))
                          OR cast(:phones AS boolean) AND l.channel IN ('sms', 'whatsapp', 'voice')
                        THEN coalesce(noti.normal_address(l.channel, l.recipient) = ANY (cast(:addresses AS text[])), false)
                        ELSE false END AS theirs
          FROM (SELECT n.notification_id, n.tenant_id, n.channel, n.recipient
                  FROM noti.notifications_log n
                 WHERE n.notification_id < cast(:before AS bigint)
                 ORDER BY n.notification_id DESC LIMIT cast(:step AS int)) AS l) AS p;
