DROP TRIGGER categories_odd ON noti.categories;
DROP TRIGGER categories_change ON noti.categories;
DROP TRIGGER preferences_change ON noti.preferences;
DELETE FROM noti.rights WHERE object IN ('remove_category', 'choice_words', 'choose', 'choices')
    OR object = 'categories' AND columns = '{opt_in,channels,expires_after,title,titles}';
