-- Under which addresses a person is reached. A channel may have several: the lowest place comes first.
CREATE TABLE noti.contacts (
  contact_id   bigint GENERATED ALWAYS AS IDENTITY,
  tenant_id    text COLLATE "C" NOT NULL DEFAULT 'default',
  user_ref     text COLLATE "C" NOT NULL,             -- 42 of recipient = 'user:42'
  channel      text COLLATE "C" NOT NULL,
  address      text NOT NULL,
  address_hash bytea NOT NULL GENERATED ALWAYS AS (noti.address_hash(channel, address)) STORED,
  place        int NOT NULL DEFAULT 0,
  label        text,                                  -- for people: "work", "Anna's phone"
  verified_at  timestamptz,
  locale       text,
  zone         text,
  quiet_from   time,                                  -- by the clock of the zone
  quiet_to     time,
  left_at      timestamptz,                           -- nothing goes there any more
  left_because text,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT contacts_pkey PRIMARY KEY (contact_id),
  CONSTRAINT contacts_sane CHECK (
        channel IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook')
    AND octet_length(user_ref) >= 1 AND octet_length(user_ref) <= 256 AND octet_length(tenant_id) <= 128
    AND octet_length(address) <= 4096 AND octet_length(label) <= 256 AND octet_length(locale) <= 64 AND octet_length(zone) <= 64
    AND octet_length(left_because) <= 1024 AND (quiet_from IS NULL) = (quiet_to IS NULL) AND (left_at IS NULL) = (left_because IS NULL)
    AND verified_at >= '2000-01-01 00:00+00' AND verified_at <= '2200-01-01 00:00+00')
);
CREATE UNIQUE INDEX contacts_person ON noti.contacts (tenant_id, user_ref, channel, address_hash);
CREATE INDEX contacts_address ON noti.contacts (address_hash, tenant_id, channel);
CREATE TRIGGER contacts_zone BEFORE INSERT OR UPDATE OF zone ON noti.contacts FOR EACH ROW WHEN (NEW.zone IS NOT NULL) EXECUTE FUNCTION noti.on_zone();

-- What a person chose. The more exact line counts: category and channel, the category, the channel, everything.
CREATE TABLE noti.preferences (
  tenant_id  text COLLATE "C" NOT NULL DEFAULT 'default',
  user_ref   text COLLATE "C" NOT NULL,
  category   text COLLATE "C" NOT NULL DEFAULT '',    -- '': every category
  channel    text COLLATE "C" NOT NULL DEFAULT '',    -- '': every channel
  allowed    boolean NOT NULL DEFAULT true,
  frequency  text COLLATE "C" NOT NULL DEFAULT 'instant',
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_by text NOT NULL DEFAULT noti.actor(),
  CONSTRAINT preferences_pkey PRIMARY KEY (tenant_id, user_ref, category, channel),
  CONSTRAINT preferences_sane CHECK (
        frequency IN ('instant', 'hourly', 'daily')
    AND octet_length(user_ref) >= 1 AND octet_length(user_ref) <= 256 AND octet_length(tenant_id) <= 128
    AND octet_length(category) <= 256 AND octet_length(channel) <= 64 AND octet_length(updated_by) <= 256)
);

INSERT INTO noti.tenant_tables (name, reads, writes) VALUES ('contacts', 'mine', 'mine'), ('preferences', 'mine', 'mine');

-- Whoever may delete may lock a table against the workers: applications set left_at; functions erase.
INSERT INTO noti.rights (role, privilege, object, columns)
SELECT role, privilege, object, g.columns::text[]
  FROM (VALUES
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'SELECT', 'contacts,preferences', '{}'),
         ('noti_app,noti_operator', 'INSERT', 'contacts', '{tenant_id,user_ref,channel,address,place,label,verified_at,locale,zone,quiet_from,quiet_to}'),
         ('noti_app,noti_operator', 'UPDATE', 'contacts',
           '{address,place,label,verified_at,locale,zone,quiet_from,quiet_to,left_at,left_because,updated_at}'),
         ('noti_worker', 'UPDATE', 'contacts', '{left_at,left_because,updated_at}'),
         ('noti_app,noti_worker,noti_operator', 'INSERT', 'preferences', '{tenant_id,user_ref,category,channel,allowed,frequency}'),
         ('noti_app,noti_worker,noti_operator', 'UPDATE', 'preferences', '{allowed,frequency,updated_at,updated_by}'),
         ('noti_all_tenants', 'DELETE', 'contacts,preferences', '{}')) AS g (roles, privileges, objects, columns)
 CROSS JOIN LATERAL unnest(string_to_array(g.roles, ',')) AS role
 CROSS JOIN LATERAL unnest(string_to_array(g.privileges, ',')) AS privilege
 CROSS JOIN LATERAL unnest(string_to_array(g.objects, ',')) AS object;
