-- Erase somebody from the next :step receipts after a position; in the beginning from the requests, too.
\set who '''ann@example.com'''
\set tenant 'NULL::text'
\set after 0
\set step 1000
SELECT e.*
  FROM noti.erase_receipts(cast(:who AS text), cast(:tenant AS text), cast(:after AS bigint), cast(:step AS int)) AS e;
