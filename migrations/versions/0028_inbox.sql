-- Pages go by inbox_id, which is the order in which messages came.
CREATE INDEX inbox_pages ON noti.inbox (tenant_id, recipient, inbox_id);
CREATE INDEX inbox_unread ON noti.inbox (tenant_id, recipient) WHERE read_at IS NULL;
DROP INDEX noti.inbox_recipient;

CREATE TRIGGER inbox_came AFTER INSERT ON noti.inbox REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION noti.on_inbox();
CREATE TRIGGER inbox_marked AFTER UPDATE ON noti.inbox REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION noti.on_inbox();
ALTER TABLE noti.inbox DISABLE TRIGGER inbox_came;
ALTER TABLE noti.inbox DISABLE TRIGGER inbox_marked;
REVOKE EXECUTE ON FUNCTION noti.notify_inbox(boolean), noti.on_inbox() FROM PUBLIC;

INSERT INTO noti.rights (role, privilege, object)
SELECT 'noti_app', 'EXECUTE', object
  FROM unnest(ARRAY['unread', 'inbox_page', 'mark_seen', 'mark_read', 'mark_all_read', 'inbox_channel']) AS object;

-- Roles of one's own: whoever marks messages in the inbox already.
DO $$
DECLARE
  grantee text;
BEGIN
  FOR grantee IN
    SELECT DISTINCT quote_ident(pg_get_userbyid(x.grantee))
      FROM pg_attribute a
     CROSS JOIN LATERAL aclexplode(a.attacl) AS x
     WHERE a.attrelid = 'noti.inbox'::regclass AND a.attname = 'read_at' AND x.privilege_type = 'UPDATE'
       AND x.grantee NOT IN (0, (SELECT c.relowner FROM pg_class c WHERE c.oid = a.attrelid))
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION noti.unread, noti.inbox_page, noti.mark_seen, noti.mark_read, noti.mark_all_read, noti.inbox_channel TO %s', grantee);
  END LOOP;
END $$;
