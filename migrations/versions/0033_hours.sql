-- When and how often people accept what a category says.
ALTER TABLE noti.categories
  ADD COLUMN quiet       boolean NOT NULL DEFAULT true,        -- false: goes out in quiet hours, too
  ADD COLUMN send_window text,                                 -- like weekdays 9-18, by the clock of the recipient
  ADD COLUMN cap_amount  int,                                  -- so many messages to a person …
  ADD COLUMN cap_every   interval,                             -- … in so long a time
  ADD COLUMN cap_over    text NOT NULL DEFAULT 'wait',         -- what is over it waits or is dropped
  ADD CONSTRAINT categories_timed CHECK (
        octet_length(send_window) <= 128 AND cap_over IN ('wait', 'drop') AND (cap_amount IS NULL) = (cap_every IS NULL)
    AND cap_amount >= 1 AND cap_amount <= 100 AND cap_every >= interval '1 minute' AND cap_every <= interval '366 days'
    AND NOT (mandatory AND (send_window IS NOT NULL OR cap_amount IS NOT NULL)));
CREATE TRIGGER categories_hours BEFORE INSERT OR UPDATE ON noti.categories FOR EACH ROW EXECUTE FUNCTION noti.on_odd_category();

-- Whether anybody has such wishes at all, workers ask once a second.
CREATE INDEX categories_some_timed ON noti.categories (tenant_id, category) WHERE send_window IS NOT NULL OR cap_amount IS NOT NULL;
CREATE INDEX contacts_quiet ON noti.contacts (contact_id) WHERE quiet_from IS NOT NULL;

-- The messages that count towards the caps of a person: sent lately, or on their way.
CREATE TABLE noti.cap_places (
  place_id        bigint GENERATED ALWAYS AS IDENTITY,         -- retention walks by it
  person          bytea NOT NULL,                              -- the hash of who it is, or of the address
  tenant_id       text COLLATE "C" NOT NULL,
  category        text COLLATE "C" NOT NULL,
  notification_id bigint NOT NULL,
  taken_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT cap_places_pkey PRIMARY KEY (person, tenant_id, category, notification_id),
  CONSTRAINT cap_places_sane CHECK (octet_length(person) = 32 AND octet_length(tenant_id) <= 128 AND octet_length(category) <= 256)
);
CREATE UNIQUE INDEX cap_places_place ON noti.cap_places (place_id);

INSERT INTO noti.tenant_tables (name, reads, writes) VALUES ('cap_places', 'mine', 'mine');
INSERT INTO noti.rights (role, privilege, object, columns)
SELECT role, privilege, object, g.columns::text[]
  FROM (VALUES
         ('noti_operator,noti_readonly', 'SELECT', 'cap_places', '{}'),
         ('noti_worker', 'SELECT,INSERT,UPDATE,DELETE', 'cap_places', '{}'),
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'EXECUTE', 'clock_shows,quiet_until,window_parts,window_opens,allowed', '{}'),
         ('noti_worker', 'EXECUTE', 'take_places', '{}'),
         ('noti_operator', 'UPDATE', 'categories', '{quiet,send_window,cap_amount,cap_every,cap_over}')) AS g (roles, privileges, objects, columns)
 CROSS JOIN LATERAL unnest(string_to_array(g.roles, ',')) AS role
 CROSS JOIN LATERAL unnest(string_to_array(g.privileges, ',')) AS privilege
 CROSS JOIN LATERAL unnest(string_to_array(g.objects, ',')) AS object;

-- Roles of one's own: whoever may record a try takes places for what it sends, and asks whom it reaches. Ours get it from the rows above.
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT given.what, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
      FROM pg_class c
     CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     CROSS JOIN unnest(ARRAY['SELECT, INSERT, UPDATE, DELETE ON noti.cap_places', 'SELECT ON noti.contacts, noti.settings, noti.categories',
           'EXECUTE ON FUNCTION noti.clock_shows, noti.quiet_until, noti.window_parts, noti.window_opens, noti.take_places']) AS given (what)
     WHERE c.oid = 'noti.notification_attempts_log'::regclass AND a.privilege_type = 'INSERT' AND a.grantee <> c.relowner
  LOOP
    EXECUTE format('GRANT %s TO %s', one.what, one.grantee);
  END LOOP;
END $$;
