-- Erase somebody from the next :step kept contents after a position.
\set who '''user:17'''
\set tenant 'NULL::text'
\set after 0
\set step 1000
\set dry_run true
SELECT e.*
  FROM noti.erase_kept(cast(:who AS text), cast(:tenant AS text), cast(:after AS bigint), cast(:step AS int),
                        cast(:dry_run AS boolean)) AS e;
