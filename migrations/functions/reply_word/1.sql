-- What a reply asks for, if it is nothing but one of the words that carriers know: stop, start, or NULL.
CREATE OR REPLACE FUNCTION noti.reply_word(words text) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- a longer one is a sentence
  word constant text := CASE WHEN char_length(words) <= 100 THEN noti.folded(regexp_replace(words, '^[[:space:][:punct:]]+|[[:space:][:punct:]]+$', '', 'g')) END;
BEGIN
  RETURN CASE
    WHEN word = ANY (ARRAY[
      -- English, and what every carrier takes
      'stop', 'stopall', 'stop all', 'unsubscribe', 'cancel', 'end', 'quit', 'revoke', 'optout', 'opt-out', 'opt out', 'remove',
      -- French
      'arret', 'arrêt', 'arrete', 'arrête', 'arreter', 'arrêter', 'desabonner', 'désabonner', 'desinscrire', 'désinscrire', 'td',
      -- German
      'stopp', 'abmelden', 'abbestellen',
      -- Spanish
      'alto', 'baja', 'cancelar', 'parar', 'desuscribir',
      -- Italian
      'ferma', 'fermare', 'disiscrivi', 'disiscrivimi', 'cancellami', 'annulla',
      -- Dutch
      'stoppen', 'afmelden', 'uitschrijven',
      -- Portuguese
      'pare', 'sair', 'remover', 'descadastrar',
      -- Danish, Norwegian, Swedish
      'afmeld', 'avmeld', 'avsluta', 'slut',
      -- Polish
      'rezygnuje', 'rezygnuję', 'wypisz']) THEN 'stop'
    WHEN word = ANY (ARRAY['start', 'unstop', 'subscribe', 'optin', 'opt-in', 'opt in', 'resume',
      'reprendre', 'abonner', 'anmelden', 'iniciar', 'alta', 'inizia', 'iscrivimi', 'aanmelden', 'inschrijven', 'tilmeld', 'påmeld']) THEN 'start' END;
END $$;
