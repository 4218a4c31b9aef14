REVOKE EXECUTE ON FUNCTION noti.on_category(), noti.on_preference(), noti.remove_category(text, text, text),
  noti.choose(text, text, text, boolean, text, text, text) FROM PUBLIC;
CREATE TRIGGER categories_odd BEFORE INSERT OR UPDATE ON noti.categories FOR EACH ROW EXECUTE FUNCTION noti.on_category();
CREATE TRIGGER categories_change AFTER INSERT OR UPDATE OR DELETE ON noti.categories FOR EACH ROW EXECUTE FUNCTION noti.on_category();
CREATE TRIGGER preferences_change AFTER INSERT OR UPDATE ON noti.preferences FOR EACH ROW EXECUTE FUNCTION noti.on_preference();

-- Who may do what with categories and choices.
INSERT INTO noti.rights (role, privilege, object, columns)
SELECT role, privilege, object, g.columns::text[]
  FROM (VALUES
         ('noti_operator', 'UPDATE', 'categories', '{opt_in,channels,expires_after,title,titles}'),
         ('noti_operator', 'EXECUTE', 'remove_category', '{}'),
         ('noti_app,noti_worker,noti_operator', 'EXECUTE', 'choose', '{}'),
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'EXECUTE', 'choices,choice_words', '{}')) AS g (roles, privileges, objects, columns)
 CROSS JOIN LATERAL unnest(string_to_array(g.roles, ',')) AS role
 CROSS JOIN LATERAL unnest(string_to_array(g.privileges, ',')) AS privilege
 CROSS JOIN LATERAL unnest(string_to_array(g.objects, ',')) AS object;

-- Roles of one's own: whoever may record a try asks before it whom the row is for, and what that person chose, and keeps what people
-- choose by the link. Our own get theirs from the rows above.
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT given.what, quote_ident(pg_get_userbyid(a.grantee)) AS grantee
      FROM pg_class c
     CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     CROSS JOIN unnest(ARRAY['SELECT ON noti.contacts, noti.preferences', 'EXECUTE ON FUNCTION noti.choose, noti.choices, noti.choice_words']) AS given (what)
     WHERE c.oid = 'noti.notification_attempts_log'::regclass AND a.privilege_type = 'INSERT' AND a.grantee NOT IN (0, c.relowner)
  LOOP
    EXECUTE format('GRANT %s TO %s', one.what, one.grantee);
  END LOOP;
END $$;
