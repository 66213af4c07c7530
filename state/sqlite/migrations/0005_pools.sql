-- Pools in a file: what a server costs an hour, and what it was made of.

ALTER TABLE servers ADD COLUMN price REAL NOT NULL DEFAULT 0;
ALTER TABLE servers ADD COLUMN spec  TEXT NOT NULL DEFAULT '';
