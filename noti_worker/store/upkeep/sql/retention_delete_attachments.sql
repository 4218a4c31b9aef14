-- Delete the named attachments.
\set ids 'array[cast(''00000000-0000-0000-0000-000000000001'' AS uuid)]'
WITH gone AS (
    DELETE FROM noti.attachments a WHERE a.attachment_id = ANY (cast(:ids AS uuid[])) RETURNING a.attachment_id
)
SELECT 'attachments' AS kind, count(*) AS rows FROM gone HAVING count(*) > 0;
