-- Delete the named places under caps; one that was taken anew meanwhile stays.
\set ids 'array[1, 2]'
WITH gone AS (
    DELETE FROM noti.cap_places p
     WHERE p.place_id = ANY (cast(:ids AS bigint[]))
       AND p.taken_at < now() - (SELECT coalesce(max(c.cap_every), interval '0') FROM noti.categories c)
    RETURNING p.place_id
)
SELECT 'cap_places' AS kind, count(*) AS rows FROM gone HAVING count(*) > 0;
