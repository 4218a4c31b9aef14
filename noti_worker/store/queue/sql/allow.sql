-- Take of limits, or give back.
\set scopes 'array[''account'']'
\set tenants 'array['''']'
\set names 'array[''relay'']'
\set periods 'array['''']'
\set amounts 'array[14]'
\set everys 'array[1.0]'
\set bursts 'array[2]'
\set zones 'array[''UTC'']'
\set doublings 'array[NULL]'
\set wants 'array[1]'
SELECT a.place, a.granted, a.again_in, a.told
  FROM noti.allow(
           cast(:scopes AS text[]), cast(:tenants AS text[]), cast(:names AS text[]), cast(:periods AS text[]),
           cast(:amounts AS bigint[]), cast(:everys AS float8[]), cast(:bursts AS bigint[]), cast(:zones AS text[]),
           cast(:doublings AS float8[]), cast(:wants AS int[])
       ) AS a;
