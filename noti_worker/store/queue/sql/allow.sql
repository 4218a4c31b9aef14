-- Take tokens of buckets, or give them back.
\set scopes 'array[''account'']'
\set tenants 'array['''']'
\set names 'array[''relay'']'
\set amounts 'array[14]'
\set everys 'array[1.0]'
\set bursts 'array[2]'
\set wants 'array[1]'
SELECT a.place, a.granted, a.again_in
  FROM noti.allow(
           cast(:scopes AS text[]), cast(:tenants AS text[]), cast(:names AS text[]), cast(:amounts AS bigint[]),
           cast(:everys AS float8[]), cast(:bursts AS bigint[]), cast(:wants AS int[])
       ) AS a;
