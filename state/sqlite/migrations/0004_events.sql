-- What the world outside is told of. Triggers note what happened in the
-- transaction in which it happened, so that neither a crash nor a new way to
-- change a record loses any of it. They note nothing while nobody is told.

CREATE TABLE targets (
    name  TEXT    PRIMARY KEY,
    after INTEGER NOT NULL -- the last of the events that it was told, or that it is not told
) STRICT, WITHOUT ROWID;

-- What happened and is no event yet.
CREATE TABLE occurrences (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    kind    TEXT    NOT NULL,
    subject TEXT    NOT NULL, -- name of a server, id of a run or a finding
    reason  TEXT    NOT NULL,
    at      INTEGER NOT NULL
) STRICT;

-- What lasts, and was told when it began.
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
    body     TEXT    NOT NULL -- JSON
) STRICT;

CREATE TRIGGER server_runs AFTER UPDATE OF started ON servers
WHEN OLD.started = 0 AND NEW.started > 0 AND EXISTS (SELECT 1 FROM targets)
BEGIN
    INSERT INTO occurrences (kind, subject, reason, at) VALUES ('server.created', NEW.name, NEW.reason, NEW.started);
END;

CREATE TRIGGER running_server_found AFTER INSERT ON servers
WHEN NEW.phase = 'running' AND EXISTS (SELECT 1 FROM targets)
BEGIN
    INSERT INTO occurrences (kind, subject, reason, at) VALUES ('server.created', NEW.name, NEW.reason, NEW.updated);
END;

-- One that never had a device was not destroyed.
CREATE TRIGGER server_gone AFTER UPDATE OF phase ON servers
WHEN OLD.phase <> 'stopped' AND NEW.phase = 'stopped' AND NEW.device_id <> '' AND EXISTS (SELECT 1 FROM targets)
BEGIN
    INSERT INTO occurrences (kind, subject, reason, at) VALUES ('server.destroyed', NEW.name, NEW.reason, NEW.updated);
END;

CREATE TRIGGER server_failed AFTER UPDATE OF phase ON servers
WHEN OLD.phase <> 'error' AND NEW.phase = 'error' AND EXISTS (SELECT 1 FROM targets)
BEGIN
    INSERT INTO occurrences (kind, subject, reason, at) VALUES ('server.error', NEW.name, NEW.reason, NEW.updated);
END;

CREATE TRIGGER plan_refused AFTER UPDATE OF phase ON runs
WHEN OLD.phase <> 'refused' AND NEW.phase = 'refused' AND EXISTS (SELECT 1 FROM targets)
BEGIN
    INSERT INTO occurrences (kind, subject, reason, at) VALUES ('plan.refused', NEW.id, NEW.verdict, NEW.finished);
END;

CREATE TRIGGER finding_began AFTER INSERT ON findings
WHEN EXISTS (SELECT 1 FROM targets)
BEGIN
    INSERT INTO occurrences (kind, subject, reason, at) VALUES ('finding', NEW.id, NEW.detail, NEW.first);
END;

CREATE TRIGGER finding_ended AFTER UPDATE OF ended ON findings
WHEN OLD.ended = 0 AND NEW.ended > 0 AND EXISTS (SELECT 1 FROM targets)
BEGIN
    INSERT INTO occurrences (kind, subject, reason, at) VALUES ('finding.ended', NEW.id, NEW.detail, NEW.ended);
END;
