-- A provider said that it was too fast; gives the part of the rate that is left.
\set scope '''account'''
\set tenant_id ''''''
\set name '''relay'''
\set hold 0
SELECT noti.slow(cast(:scope AS text), cast(:tenant_id AS text), cast(:name AS text), cast(:hold AS float8)) AS pace;
