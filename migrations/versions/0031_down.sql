DELETE FROM noti.rights WHERE object IN ('reached', 'preferred_channels', 'contact_left') OR columns = '{fallback_of}';
DROP TRIGGER contacts_clean ON noti.contacts;
DROP FUNCTION noti.send(text[], text, text, text, text, text, jsonb, text, text, text, text, timestamptz, timestamptz, text, int, text, text, text,
  text, text, jsonb, jsonb, text, int);
ALTER TABLE noti.notifications_log DROP COLUMN fallback_of;
