-- Delete the named events.
\set ids 'array[1, 2]'
WITH gone AS (
    DELETE FROM noti.events e
     WHERE e.event_id = ANY (cast(:ids AS bigint[]))
    RETURNING e.event_id
)
SELECT 'events' AS kind, count(*) AS rows FROM gone HAVING count(*) > 0;
