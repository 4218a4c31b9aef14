-- A version never changes once it is there. Versions count over all channels and languages of a template. One without body
-- and html says that there is none any more.
CREATE TABLE noti.template_versions (
  tenant_id    text NOT NULL DEFAULT 'default',
  template_id  text NOT NULL,
  channel      text NOT NULL DEFAULT '',      -- '': every channel that has none of its own
  locale       text NOT NULL DEFAULT '',      -- '': every language that has none of its own
  version      int NOT NULL,
  subject      text,
  body         text,
  html         text,
  names        text[] NOT NULL GENERATED ALWAYS AS (
    noti.template_names(coalesce(subject, '') || E'\n' || coalesce(body, '') || E'\n' || coalesce(html, ''))) STORED,
  published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  published_by text NOT NULL DEFAULT CURRENT_USER,
  CONSTRAINT template_versions_pkey PRIMARY KEY (tenant_id, template_id, channel, locale, version),
  CONSTRAINT template_versions_sane CHECK (
        version >= 1 AND tenant_id <> '' AND octet_length(tenant_id) <= 128 AND octet_length(template_id) BETWEEN 1 AND 256
    AND channel IN ('', 'email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app')
    AND (locale = '' OR locale IS NOT DISTINCT FROM (noti.languages(locale))[1])
    AND octet_length(subject) <= 4096 AND octet_length(body) <= 1048576 AND octet_length(html) <= 1048576
    AND octet_length(published_by) <= 256)
);
