-- Whoever may ask for the next step may ask for what that is made of now; operators may correct and hasten.
INSERT INTO noti.rights (role, privilege, object, columns)
SELECT role, g.privilege, object, g.columns::text[]
  FROM (VALUES
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'EXECUTE',
          'span,may_have_arrived,end_of,after_end,obstacle_locked,obstacle_ahead,obstacle_refused,obstacle_unable', '{}'),
         ('noti_app,noti_operator,noti_readonly', 'EXECUTE', 'locked_by', '{}'),
         ('noti_operator', 'EXECUTE', 'correct', '{}'),
         ('noti_operator', 'UPDATE', 'notifications_log', '{next_retry_at}')) AS g (roles, privilege, objects, columns)
 CROSS JOIN LATERAL unnest(string_to_array(g.roles, ',')) AS role
 CROSS JOIN LATERAL unnest(string_to_array(g.objects, ',')) AS object;

-- Roles of one's own. Our own get theirs from the rows above.
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT f.oid::regprocedure::text AS function, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
      FROM pg_proc p
     CROSS JOIN LATERAL aclexplode(p.proacl) AS a
      JOIN pg_proc f ON f.pronamespace = p.pronamespace
                    AND f.proname IN ('span', 'may_have_arrived', 'end_of', 'after_end', 'locked_by', 'obstacle_locked', 'obstacle_ahead',
                                      'obstacle_refused', 'obstacle_unable')
     WHERE p.oid = 'noti.next_step(noti.notifications_log)'::regprocedure AND a.grantee <> p.proowner
       AND (f.proname <> 'locked_by' OR a.grantee <> 0)
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', one.function, one.grantee);
  END LOOP;
END $$;
