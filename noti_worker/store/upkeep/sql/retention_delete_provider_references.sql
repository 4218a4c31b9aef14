-- Delete the named ids that providers gave to messages.
\set ids 'array[1, 2]'
WITH gone AS (
    DELETE FROM noti.provider_references r
     WHERE r.reference_id = ANY (cast(:ids AS bigint[]))
    RETURNING r.reference_id
)
SELECT 'provider_references' AS kind, count(*) AS rows FROM gone HAVING count(*) > 0;
