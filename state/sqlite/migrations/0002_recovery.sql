-- No machine is lost: what is not known of a server's device, when a stack's
-- devices are looked for, what a run adopts, and what a sweep finds.

ALTER TABLE servers ADD COLUMN machine TEXT    NOT NULL DEFAULT '';
ALTER TABLE servers ADD COLUMN began   INTEGER NOT NULL DEFAULT 0;
ALTER TABLE servers ADD COLUMN absent  TEXT    NOT NULL DEFAULT '';
ALTER TABLE servers ADD COLUMN doubt   INTEGER NOT NULL DEFAULT 0;
CREATE INDEX servers_began ON servers (began) WHERE began > 0;

ALTER TABLE stacks ADD COLUMN tag        TEXT    NOT NULL DEFAULT '';
ALTER TABLE stacks ADD COLUMN look_at    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stacks ADD COLUMN look_until INTEGER NOT NULL DEFAULT 0;
CREATE INDEX stacks_look ON stacks (look_at) WHERE look_at > 0;

ALTER TABLE runs ADD COLUMN imports TEXT NOT NULL DEFAULT '{}';

CREATE TABLE findings (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    kind    TEXT    NOT NULL,
    device  TEXT    NOT NULL,
    server  TEXT    NOT NULL,
    stack   TEXT    NOT NULL,
    address TEXT    NOT NULL,
    detail  TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    held    INTEGER NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    ended   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX findings_open ON findings (kind, device, server) WHERE ended = 0;

-- What an earlier version left: servers in error whose devices nobody has
-- looked for, and stacks that were not planned again. They are looked for now.
UPDATE servers SET began = created WHERE phase <> 'pending';
UPDATE servers SET doubt = 1 WHERE phase IN ('creating', 'stopping', 'error')
    AND stack IN (SELECT name FROM stacks WHERE unclean <> '');
UPDATE stacks SET look_at = 1, look_until = 1 WHERE unclean <> '';
