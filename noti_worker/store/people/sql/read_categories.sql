-- What is said of the categories of some tenants ('': of all), NULL: of every one, and how many people chose what of each.
\set tenants 'NULL::text[]'
SELECT c.tenant_id, c.category, c.mandatory, c.can_be_left, c.opt_in, c.channels, cast(extract(epoch FROM c.expires_after) AS float8) AS expires_after_seconds,
       c.title, c.titles, c.quiet, c.send_window, c.cap_amount, cast(extract(epoch FROM c.cap_every) AS float8) AS cap_seconds, c.cap_over,
       cast(extract(epoch FROM c.keep_content) AS float8) AS keep_seconds, coalesce(p.refused, 0) AS refused_by, coalesce(p.chosen, 0) AS chosen_by
  FROM noti.categories c
  LEFT JOIN (
       SELECT f.tenant_id, f.category, count(DISTINCT f.user_ref) FILTER (WHERE NOT f.allowed) AS refused,
              count(DISTINCT f.user_ref) FILTER (WHERE f.allowed) AS chosen
         FROM noti.preferences f
        GROUP BY GROUPING SETS ((f.tenant_id, f.category), (f.category))) AS p
    ON p.category = c.category AND coalesce(p.tenant_id, '') = c.tenant_id
 WHERE cast(:tenants AS text[]) IS NULL OR c.tenant_id = ANY (cast(:tenants AS text[]))
 ORDER BY c.category, c.tenant_id;
