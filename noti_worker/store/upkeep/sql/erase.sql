-- Erase somebody from the next :step notifications after a position, and tell what was done and where to go on.
\set who '''ada@example.com'''
\set tenant 'NULL::text'
\set after 0
\set step 1000
\set dry_run true
SELECT e.*
  FROM noti.erase(cast(:who AS text), cast(:tenant AS text), cast(:after AS bigint), cast(:step AS int),
                  cast(:dry_run AS boolean)) AS e;
