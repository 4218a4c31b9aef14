-- Delete the named kept contents.
\set ids 'array[1, 2]'
WITH gone AS (
    DELETE FROM noti.kept_contents k
     WHERE k.kept_id = ANY (cast(:ids AS bigint[]))
    RETURNING k.kept_id
)
SELECT 'kept_contents' AS kind, count(*) AS rows FROM gone HAVING count(*) > 0;
