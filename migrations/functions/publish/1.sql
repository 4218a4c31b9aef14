-- Publish a version of a template: a JSON array of its texts, each {"channel", "locale", "subject", "body", "html"}; without a channel for
-- every channel, without a locale for every language. What is not named stays as it is; {"locale": "de", "withdrawn": true} takes it
-- away. Gives the number of the version. Two at once: the second waits for the first.
CREATE OR REPLACE FUNCTION noti.publish(template_id text, texts jsonb, tenant_id text DEFAULT 'default', published_by text DEFAULT NULL)
  RETURNS int LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  made  int;
  wrong text;
BEGIN
  IF coalesce(publish.template_id, '') = '' OR coalesce(publish.tenant_id, '') = '' THEN
    wrong := 'template_id and tenant_id are needed. Give both.';
  ELSIF jsonb_typeof(publish.texts) IS DISTINCT FROM 'array' OR publish.texts = '[]' THEN
    wrong := 'texts is no JSON array. Give one object for each channel and language, like [{"locale": "de", "subject": "…", "body": "…"}].';
  ELSE
    SELECT CASE
             WHEN jsonb_typeof(t) <> 'object' THEN 'one of the texts is no JSON object. Give {"subject": "…", "body": "…"}.'
             WHEN t - '{channel,locale,subject,body,html,withdrawn}'::text[] <> '{}' THEN
               'a text has channel, locale, subject, body, html and withdrawn, and nothing else. Rename or leave out the rest.'
             WHEN coalesce(t->>'channel', '') NOT IN ('', 'email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app') THEN
               'the channel of a text is unknown. Give one of email, sms, whatsapp, push, voice, chat, webhook, in_app, or none.'
             WHEN coalesce(t->>'locale', '') <> '' AND noti.languages(t->>'locale') IS NULL THEN
               'the locale of a text is no language tag. Give one like de or pt-BR, or none.'
             WHEN coalesce(t->'withdrawn' = 'true', false) = (num_nonnulls(t->>'subject', t->>'body', t->>'html') > 0) THEN
               'a text has a body or html, or it is withdrawn. Give one of them.'
             WHEN t->'withdrawn' IS DISTINCT FROM 'true' AND num_nonnulls(t->>'body', t->>'html') = 0 THEN
               'a text has neither body nor html. Give one of them.' END
      INTO wrong
      FROM jsonb_array_elements(publish.texts) AS t
     ORDER BY 1 NULLS LAST LIMIT 1;
  END IF;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'noti: %', wrong USING ERRCODE = 'check_violation';
  END IF;
  PERFORM pg_advisory_xact_lock(7700162, hashtext(publish.tenant_id || E'\x01' || publish.template_id));
  SELECT coalesce(max(t.version), 0) + 1 INTO made
    FROM noti.template_versions t WHERE t.tenant_id = publish.tenant_id AND t.template_id = publish.template_id;
  INSERT INTO noti.template_versions (tenant_id, template_id, channel, locale, version, subject, body, html, published_by)
  SELECT publish.tenant_id, publish.template_id, coalesce(t.channel, ''), coalesce((noti.languages(t.locale))[1], ''), made,
         t.subject, t.body, t.html, coalesce(publish.published_by, noti.actor())
    FROM jsonb_to_recordset(publish.texts) AS t (channel text, locale text, subject text, body text, html text);
  RETURN made;
END $$;
