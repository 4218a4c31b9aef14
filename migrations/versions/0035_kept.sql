-- For how long the content of this category's messages is kept as it went out; NULL: not at all.
ALTER TABLE noti.categories ADD COLUMN keep_content interval
  CONSTRAINT categories_keep CHECK (keep_content >= '1 hour' AND keep_content <= '3660 days');

-- What a try said: rendered, to whom it went. It outlives its notification when retention is set so.
CREATE TABLE noti.kept_contents (
  kept_id         bigint GENERATED ALWAYS AS IDENTITY,
  notification_id bigint NOT NULL,
  attempt_number  int NOT NULL,
  tenant_id       text COLLATE "C" NOT NULL,
  channel         text COLLATE "C" NOT NULL,
  recipient       text NOT NULL,
  subject         text,
  body            text,
  html            text,
  options         jsonb,
  truncated       boolean NOT NULL DEFAULT false,
  kept_until      timestamptz NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT kept_contents_pkey PRIMARY KEY (kept_id),
  CONSTRAINT kept_contents_try UNIQUE (notification_id, attempt_number)
);
CREATE INDEX kept_contents_until ON noti.kept_contents (kept_until, kept_id);

INSERT INTO noti.tenant_tables (name, reads, writes) VALUES ('kept_contents', 'mine', 'mine');
