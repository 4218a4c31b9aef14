-- Delete the named envelopes.
\set ids 'array[1, 2]'
WITH gone AS (
    DELETE FROM noti.envelopes v
     WHERE v.envelope_id = ANY (cast(:ids AS bigint[]))
    RETURNING v.envelope_id
)
SELECT 'envelopes' AS kind, count(*) AS rows FROM gone HAVING count(*) > 0;
