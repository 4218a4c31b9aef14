-- Row-level security by tenants and database roles, off until noti.isolate_tenants(true).

-- Tries carry their tenant: a try outlives its notification. Those of before have NULL, and are their notification's.
ALTER TABLE noti.notification_attempts_log ADD COLUMN tenant_id text COLLATE "C";

-- Which tenants a database role sees. Exactly that role: its members see nothing by it, SET ROLE does. By oid, as regrole keeps it: who is
-- created later under the name of a dropped role inherits no tenant, and a dump names roles as another server knows them.
CREATE TABLE noti.tenant_members (
  role      regrole NOT NULL,
  tenant_id text COLLATE "C" NOT NULL,
  CONSTRAINT tenant_members_pkey PRIMARY KEY (role, tenant_id),
  CONSTRAINT tenant_members_sane CHECK (tenant_id <> '' AND octet_length(tenant_id) <= 128)
);

-- The same as one row for each role, kept by a trigger: every statement that reads asks for it, and a thousand rows cost more than it does.
CREATE TABLE noti.tenant_lists (
  role    regrole NOT NULL,
  tenants text[] COLLATE "C" NOT NULL,
  CONSTRAINT tenant_lists_pkey PRIMARY KEY (role)
);

-- How each table of the schema is shared between tenants: what a role that is bound to some may read of it and write (noti.tenant_rule
-- tells what the words mean), or, of the installation's own, why that holds nothing of a tenant. One row, and its policies are there.
CREATE TABLE noti.tenant_tables (
  name   text COLLATE "C" NOT NULL,
  reads  text,
  writes text,
  reason text,
  CONSTRAINT tenant_tables_pkey PRIMARY KEY (name),
  CONSTRAINT tenant_tables_sane CHECK ((reads IS NULL) = (writes IS NULL) AND (reads IS NULL) = (reason IS NOT NULL))
);

-- The defaults of a role: ALTER ROLE acme_app SET noti.tenant = 'acme'. A convenience and no authority: the policies decide.
ALTER TABLE noti.notifications_log ALTER COLUMN tenant_id SET DEFAULT coalesce(nullif(current_setting('noti.tenant', true), ''), 'default');
ALTER TABLE noti.attachments ALTER COLUMN tenant_id SET DEFAULT coalesce(nullif(current_setting('noti.tenant', true), ''), 'default');
ALTER TABLE noti.templates ALTER COLUMN tenant_id SET DEFAULT coalesce(nullif(current_setting('noti.tenant', true), ''), 'default');
ALTER TABLE noti.suppressions ALTER COLUMN tenant_id SET DEFAULT coalesce(nullif(current_setting('noti.tenant', true), ''), 'default');

-- An id that another tenant has is no obstacle, and so tells nothing.
ALTER TABLE noti.attachments DROP CONSTRAINT attachments_pkey, ADD CONSTRAINT attachments_pkey PRIMARY KEY (attachment_id, tenant_id);
