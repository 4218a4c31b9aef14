-- What keeps each of these notifications from being sent now, a row for each cause.
\set ids 'array[1, 2]'
SELECT n.id, o.cause, o.scope, o.name, o.since, o.until, o.by, o.code
  FROM unnest(cast(:ids AS bigint[])) AS n (id)
 CROSS JOIN LATERAL noti.obstacles(noti.facts(n.id))
       WITH ORDINALITY AS o (cause, scope, name, since, until, by, words, code, place)
 ORDER BY n.id, o.place;
