-- Our roles, what each lacks of the rights that it should have, and whether the role that asks is a member.
--
-- Read as the role that asks: it needs USAGE on the schema. For a superuser membership means nothing.
SELECT r.role,
       to_regrole(r.role) IS NOT NULL AS exists,
       coalesce(pg_has_role(to_regrole(r.role), 'USAGE'), false) AS member,
       coalesce((SELECT g.rolcanlogin OR g.rolsuper FROM pg_roles g WHERE g.rolname = r.role), false) AS powerful,
       coalesce(array_agg(r.wanted) FILTER (WHERE NOT CASE
           WHEN to_regrole(r.role) IS NULL THEN true
           WHEN r.object = 'noti' THEN has_schema_privilege(to_regrole(r.role), 'noti', r.privilege)
           WHEN r.privilege = 'EXECUTE' THEN has_function_privilege(to_regrole(r.role), r.object::regprocedure, 'EXECUTE')
           WHEN r.privilege = 'USAGE' THEN has_sequence_privilege(to_regrole(r.role), 'noti.' || r.object, 'USAGE')
           WHEN r.columns IS NULL THEN has_table_privilege(to_regrole(r.role), 'noti.' || r.object, r.privilege)
           ELSE (SELECT bool_and(has_column_privilege(to_regrole(r.role), 'noti.' || r.object, c, r.privilege))
                   FROM unnest(r.columns) AS c)
       END), '{}') AS lacking
  FROM noti.rights_of_roles() AS r
 GROUP BY r.role
 ORDER BY r.role;
