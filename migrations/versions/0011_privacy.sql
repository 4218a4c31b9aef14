DROP FUNCTION noti.unnamed(text, text);

-- Who pauses is the login, also under a role taken by SET ROLE.
ALTER TABLE noti.pauses ALTER COLUMN paused_by SET DEFAULT noti.actor();
ALTER TABLE noti.circuits ALTER COLUMN opened_by SET DEFAULT noti.actor();
