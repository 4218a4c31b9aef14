DELETE FROM noti.rights
 WHERE object IN ('suppressions', 'categories', 'replies', 'ascii_domain', 'normal_address', 'address_hash', 'suppress', 'suppress_answers',
                  'lift', 'suppression_fault', 'reply_word', 'heard', 'erase_suppressions')
    OR object = 'actor' AND role = 'noti_app';
DROP TABLE noti.suppressions, noti.categories, noti.replies;
