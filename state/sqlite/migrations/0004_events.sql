-- The log of what happened. Triggers note it in the transaction in which it
-- happens, so that neither a crash nor a new way to change a record loses any
-- of it.

-- What happened and is in no log yet.
CREATE TABLE occurrences (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    kind    TEXT    NOT NULL,
    subject TEXT    NOT NULL, -- name of a server, id of a run, a decision or a finding
    phase   TEXT    NOT NULL DEFAULT '', -- the server's, then
    reason  TEXT    NOT NULL,
    who     TEXT    NOT NULL DEFAULT '', -- login of the person who did it
    at      INTEGER NOT NULL
) STRICT;

-- What lasts, and was logged when it began.
CREATE TABLE conditions (
    kind    TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    body    TEXT    NOT NULL,           -- JSON of the event
    unseen  INTEGER NOT NULL DEFAULT 0, -- since when; 0: it was seen the last time
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    recorded INTEGER NOT NULL,
    noted    INTEGER NOT NULL, -- the occurrence that it was made of; 0: none
    news     INTEGER NOT NULL, -- the world outside may want to be told of it
    kind     TEXT    NOT NULL,
    server   TEXT    NOT NULL,
    stack    TEXT    NOT NULL,
    body     TEXT    NOT NULL  -- JSON
) STRICT;
CREATE INDEX events_news   ON events (id) WHERE news = 1;
CREATE INDEX events_server ON events (server, id) WHERE server <> '';
CREATE INDEX events_stack  ON events (stack, id)  WHERE stack <> '';

CREATE TRIGGER events_stay BEFORE UPDATE ON events
BEGIN
    SELECT raise(ABORT, 'the log of events is only added to');
END;

-- Who is told of news. Of what was before that it is told nothing: neither of
-- what was in the log nor of what was only noted.
CREATE TABLE targets (
    name  TEXT    PRIMARY KEY,
    after INTEGER NOT NULL, -- the last of the events that it was told, or that it is not told
    since INTEGER NOT NULL  -- the last of the occurrences that it is not told
) STRICT, WITHOUT ROWID;

-- A change of phase is one row. One to error is two: what went wrong is told
-- when it is known. A server that never had a device was not destroyed.
CREATE TRIGGER server_moved AFTER UPDATE OF phase ON servers
WHEN OLD.phase <> NEW.phase
BEGIN
    INSERT INTO occurrences (kind, subject, phase, reason, at) VALUES (
        CASE
            WHEN NEW.phase = 'running' AND OLD.started = 0        THEN 'server.created'
            WHEN NEW.phase = 'stopped' AND NEW.device_id <> ''    THEN 'server.destroyed'
            ELSE 'server.phase'
        END, NEW.name, NEW.phase, NEW.reason, NEW.updated);
    INSERT INTO occurrences (kind, subject, phase, reason, at)
        SELECT 'server.error', NEW.name, NEW.phase, NEW.reason, NEW.updated WHERE NEW.phase = 'error';
END;

CREATE TRIGGER server_made AFTER INSERT ON servers
BEGIN
    INSERT INTO occurrences (kind, subject, phase, reason, at) VALUES (
        CASE NEW.phase WHEN 'running' THEN 'server.created' ELSE 'server.phase' END, NEW.name, NEW.phase, NEW.reason, NEW.updated);
END;

CREATE TRIGGER run_begun AFTER INSERT ON runs
BEGIN
    INSERT INTO occurrences (kind, subject, reason, at) VALUES ('run.begun', NEW.id, '', NEW.started);
END;

CREATE TRIGGER run_moved AFTER UPDATE OF phase ON runs
WHEN OLD.phase <> NEW.phase
BEGIN
    INSERT INTO occurrences (kind, subject, reason, at) VALUES (
        CASE NEW.phase WHEN 'refused' THEN 'plan.refused' ELSE 'run.' || NEW.phase END, NEW.id, NEW.verdict,
        CASE NEW.phase WHEN 'planned' THEN NEW.planned WHEN 'applying' THEN NEW.applying ELSE NEW.finished END);
END;

CREATE TRIGGER finding_began AFTER INSERT ON findings
BEGIN
    INSERT INTO occurrences (kind, subject, reason, at) VALUES ('finding', NEW.id, NEW.detail, NEW.first);
END;

CREATE TRIGGER finding_ended AFTER UPDATE OF ended ON findings
WHEN OLD.ended = 0 AND NEW.ended > 0
BEGIN
    INSERT INTO occurrences (kind, subject, reason, at) VALUES ('finding.ended', NEW.id, NEW.detail, NEW.ended);
END;
