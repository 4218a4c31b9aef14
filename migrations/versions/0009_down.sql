DROP TRIGGER circuits_change ON noti.circuits;
DROP FUNCTION noti.pause(text, text, text, timestamptz, text, text);
DROP FUNCTION noti.resume(text, text, text, text);
