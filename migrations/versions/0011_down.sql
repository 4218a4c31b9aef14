ALTER TABLE noti.pauses ALTER COLUMN paused_by SET DEFAULT CURRENT_USER;
ALTER TABLE noti.circuits ALTER COLUMN opened_by SET DEFAULT CURRENT_USER;
DELETE FROM noti.rights WHERE object IN ('folded', 'address', 'clue', 'unnamed');
DROP FUNCTION noti.unnamed(text, text, boolean, text);
