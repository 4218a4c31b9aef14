DROP INDEX noti.categories_choosy;
ALTER TABLE noti.categories DROP COLUMN opt_in, DROP COLUMN channels, DROP COLUMN expires_after, DROP COLUMN title, DROP COLUMN titles;
