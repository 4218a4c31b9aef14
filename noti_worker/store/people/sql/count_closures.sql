-- How many closures of each cause and scope are in force, and for how many seconds the oldest of them has been.
--
-- Of circuits each account for itself, as `name`.
SELECT c.cause, c.scope, CASE c.cause WHEN 'circuit' THEN c.name END AS name, count(*) AS closures,
       extract(epoch FROM clock_timestamp() - min(c.since))::float8 AS seconds
  FROM noti.closures c
 GROUP BY 1, 2, 3;
