-- What a category says of its messages, and how people read its name.
ALTER TABLE noti.categories
  ADD COLUMN opt_in        boolean NOT NULL DEFAULT false,  -- goes only to who said yes to it
  ADD COLUMN channels      text[],                          -- by which it goes where nobody names one
  ADD COLUMN expires_after interval,                        -- how long it is worth sending where a row does not say
  ADD COLUMN title         text,                            -- for people; else they read its name
  ADD COLUMN titles        jsonb,                           -- the same by language: {"de": "Neuigkeiten"}
  ADD CONSTRAINT categories_choices CHECK (
        NOT (mandatory AND opt_in)
    AND channels <@ '{email,sms,whatsapp,push,voice,chat,webhook,in_app}'::text[] AND cardinality(channels) > 0
    AND expires_after >= '1 second' AND expires_after <= '3660 days'
    AND octet_length(title) BETWEEN 1 AND 1024 AND jsonb_typeof(titles) = 'object' AND pg_column_size(titles) <= 16384);
-- Whether any says so at all: asked at each claim.
CREATE INDEX categories_choosy ON noti.categories (category) WHERE opt_in OR expires_after IS NOT NULL;
