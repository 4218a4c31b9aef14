DELETE FROM noti.tenant_tables WHERE name = 'cap_places';
DELETE FROM noti.rights
 WHERE object IN ('cap_places', 'clock_shows', 'quiet_until', 'window_parts', 'window_opens', 'allowed', 'take_places')
    OR object = 'categories' AND columns && '{quiet,send_window,cap_amount,cap_every,cap_over}';
DROP TABLE noti.cap_places;
DROP INDEX noti.contacts_quiet;
DROP TRIGGER categories_hours ON noti.categories;
ALTER TABLE noti.categories DROP COLUMN quiet, DROP COLUMN send_window, DROP COLUMN cap_amount, DROP COLUMN cap_every, DROP COLUMN cap_over;
DELETE FROM noti.settings WHERE key = 'quiet_hours';
