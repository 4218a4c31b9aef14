-- What a person may choose of, the first :most lines.
\set user_ref '''42'''
\set tenant_id '''default'''
\set language '''de'''
\set most 500
SELECT c.category, c.title, c.channel, c.mandatory, c.opt_in, c.allowed, c.frequency, c.left_out
  FROM noti.choices(cast(:user_ref AS text), cast(:tenant_id AS text), cast(:language AS text)) AS c
 LIMIT cast(:most AS bigint);
