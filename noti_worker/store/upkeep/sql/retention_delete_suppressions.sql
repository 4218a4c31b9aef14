-- Delete the named entries of the suppression list whose end is past its age; one that was reported again meanwhile stays.
\set age '''365 days'''
\set ids 'array[1, 2]'
WITH gone AS (
    DELETE FROM noti.suppressions s
     WHERE s.suppression_id = ANY (cast(:ids AS bigint[]))
       AND coalesce(s.lifted_at, s.expires_at) < now() - cast(:age AS interval)
    RETURNING s.suppression_id
)
SELECT 'suppressions' AS kind, count(*) AS rows FROM gone HAVING count(*) > 0;
