-- Look at the next :limit places under caps after a position; give those that no cap counts any more.
\set after 0
\set limit 500
SELECT count(*) AS seen,
       coalesce(array_agg(row.place_id) FILTER (WHERE row.taken_at < now() - longest.cap), '{}') AS ids,
       max(row.place_id) AS last
  FROM (SELECT coalesce(max(c.cap_every), interval '0') AS cap FROM noti.categories c) AS longest
 CROSS JOIN (
       SELECT p.place_id, p.taken_at
         FROM noti.cap_places p
        WHERE p.place_id > cast(:after AS bigint)
        ORDER BY p.place_id
        LIMIT cast(:limit AS bigint)
       ) AS row;
