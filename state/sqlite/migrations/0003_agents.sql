-- What is known of the runner on a machine; whether its device still carries
-- our tag; and since when a look has not shown it.

ALTER TABLE servers ADD COLUMN setup       TEXT    NOT NULL DEFAULT '';
ALTER TABLE servers ADD COLUMN active      INTEGER NOT NULL DEFAULT 0;
ALTER TABLE servers ADD COLUMN reached     INTEGER NOT NULL DEFAULT 0;
ALTER TABLE servers ADD COLUMN told        INTEGER NOT NULL DEFAULT 0;
ALTER TABLE servers ADD COLUMN drained     INTEGER NOT NULL DEFAULT 0;
ALTER TABLE servers ADD COLUMN unreachable INTEGER NOT NULL DEFAULT 0;
ALTER TABLE servers ADD COLUMN repaired    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE servers ADD COLUMN taken       INTEGER NOT NULL DEFAULT 0;
ALTER TABLE servers ADD COLUMN unseen      INTEGER NOT NULL DEFAULT 0;
