-- What the role lacks of the rights that a worker needs, as the body of a GRANT each.
--
-- They are those of noti_worker; what only retention deletes is left out: not everybody keeps house that way.
-- Read as the role that asks, once doctor_entry.sql finds nothing.
SELECT string_agg(regexp_replace(r.wanted, ' ON .*$', ''), ', ' ORDER BY r.privilege)
       || ' ON ' || regexp_replace(min(r.wanted), '^.* ON ', '') AS lacking
  FROM noti.rights_of_roles() AS r
 WHERE r.role = 'noti_worker'
   AND NOT (r.privilege = 'DELETE' AND r.object IN ('notifications_log', 'inbox', 'attachments'))
   AND NOT CASE
       WHEN r.object = 'noti' THEN has_schema_privilege('noti', r.privilege)
       WHEN r.privilege = 'EXECUTE' THEN has_function_privilege(cast(r.object AS regprocedure), 'EXECUTE')
       WHEN r.privilege = 'USAGE' THEN has_sequence_privilege('noti.' || r.object, 'USAGE')
       WHEN r.columns IS NULL THEN has_table_privilege('noti.' || r.object, r.privilege)
       ELSE (SELECT bool_and(has_column_privilege('noti.' || r.object, c, r.privilege)) FROM unnest(r.columns) AS c)
       END
 GROUP BY r.object, r.columns
 ORDER BY 1;
