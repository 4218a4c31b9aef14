-- Of each change of a category, by command or by plain SQL. Before it: what is wrong, in words. After it: an audit line.
CREATE OR REPLACE FUNCTION noti.on_category() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  c     noti.categories;
  wrong text;
BEGIN
  IF TG_WHEN = 'BEFORE' THEN
    wrong := CASE
      WHEN NEW.mandatory AND NEW.can_be_left THEN 'what is mandatory cannot be left. Say one of the two'
      WHEN NEW.mandatory AND NEW.opt_in THEN 'what is mandatory asks nobody for a yes. Say one of the two'
      WHEN NEW.channels IS NOT NULL AND NOT (NEW.channels <@ '{email,sms,whatsapp,push,voice,chat,webhook,in_app}'::text[] AND cardinality(NEW.channels) > 0)
        THEN 'its channels are no channels. Name some of email, sms, whatsapp, push, voice, chat, webhook and in_app'
      WHEN NOT (NEW.expires_after >= '1 second' AND NEW.expires_after <= '3660 days') THEN 'its messages cannot expire after that. Give one second to ten years'
      WHEN octet_length(NEW.title) NOT BETWEEN 1 AND 1024 THEN 'its title is empty or too long. Give 1 to 1024 bytes'
      WHEN NEW.titles IS NOT NULL AND (jsonb_typeof(NEW.titles) <> 'object' OR EXISTS (
           SELECT FROM jsonb_each(CASE WHEN jsonb_typeof(NEW.titles) = 'object' THEN NEW.titles END) AS t (tag, said)
            WHERE jsonb_typeof(said) <> 'string' OR said #>> '{}' = '' OR octet_length(said #>> '{}') > 1024 OR tag IS DISTINCT FROM (noti.languages(tag))[1]))
        THEN 'its titles are no texts by language. Give an object like {"de": "Neuigkeiten", "pt-BR": "Novidades"}' END;
    IF wrong IS NOT NULL THEN
      RAISE EXCEPTION 'noti: of the category %: %.', quote_literal(left(NEW.category, 100)), wrong USING ERRCODE = 'check_violation', CONSTRAINT = 'categories_choices';
    END IF;
    RETURN NEW;
  END IF;

  IF TG_OP = 'UPDATE' AND NEW IS NOT DISTINCT FROM OLD THEN
    RETURN NULL;
  END IF;
  IF TG_OP = 'DELETE' THEN c := OLD; ELSE c := NEW; END IF;
  INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
  VALUES (CASE WHEN c.tenant_id <> '' THEN c.tenant_id ELSE 'default' END, 'category', c.category,
          CASE TG_OP WHEN 'DELETE' THEN 'category_removed' ELSE 'category_set' END, 'db', noti.actor(),
          jsonb_strip_nulls(jsonb_build_object(
            'by', nullif(current_setting('noti.person', true), ''), 'everybody', CASE WHEN c.tenant_id = '' THEN true END,
            'mandatory', c.mandatory, 'can_be_left', c.can_be_left, 'opt_in', c.opt_in, 'channels', to_jsonb(c.channels),
            'expires_after', c.expires_after::text, 'title', c.title)));
  RETURN NULL;
END $$;
