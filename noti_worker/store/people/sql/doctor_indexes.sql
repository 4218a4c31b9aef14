-- The state and size of each index; `entries` is the count of the latest vacuum or analyze, -1 before the first.
SELECT c.relname AS index,
       x.indisvalid AND x.indisready AS valid,
       pg_relation_size(c.oid) AS bytes,
       c.reltuples::float8 AS entries
  FROM pg_index x
  JOIN pg_class c ON c.oid = x.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'noti' AND c.relkind = 'i'
 ORDER BY c.relname;
