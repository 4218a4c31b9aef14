-- Delete the named in-app messages that are past their age; noti.assert_invariants() hears up to when they may be missing.
\set age '''90 days'''
\set ids 'array[1, 2]'
WITH told AS (
    INSERT INTO noti.duties AS d (duty, state)
    VALUES ('inbox retention', jsonb_build_object('before', now() - cast(:age AS interval)))
    ON CONFLICT (duty) DO UPDATE
       SET state = excluded.state
     WHERE (d.state ->> 'before')::timestamptz < (excluded.state ->> 'before')::timestamptz
),
gone AS (
    DELETE FROM noti.inbox i
     WHERE i.inbox_id = ANY (cast(:ids AS bigint[])) AND i.created_at < now() - cast(:age AS interval)
    RETURNING i.inbox_id
)
SELECT 'inbox' AS kind, count(*) AS rows FROM gone HAVING count(*) > 0;
