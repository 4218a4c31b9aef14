-- The categories that recipients may leave.
SELECT DISTINCT category FROM noti.categories WHERE can_be_left ORDER BY category LIMIT 10;
