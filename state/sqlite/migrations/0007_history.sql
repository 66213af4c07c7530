-- Which decision made a state what it is: the newest one that changed what is
-- wanted of the stack; 0: a person's order, or what a look found, did.

ALTER TABLE stacks   ADD COLUMN decision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs     ADD COLUMN decision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE versions ADD COLUMN decision INTEGER NOT NULL DEFAULT 0;

-- Who decided about a plan that waited is told with what became of it.
CREATE TRIGGER run_waits AFTER UPDATE OF waits ON runs
WHEN OLD.waits = 0 AND NEW.waits > 0
BEGIN
    INSERT INTO occurrences (kind, subject, reason, at) VALUES ('run.waits', NEW.id, NEW.verdict, NEW.waits);
END;

CREATE TRIGGER run_approved AFTER UPDATE OF approved ON runs
WHEN OLD.approved = 0 AND NEW.approved > 0
BEGIN
    INSERT INTO occurrences (kind, subject, reason, who, at) VALUES ('run.approved', NEW.id, NEW.verdict, NEW.decided_by, NEW.approved);
END;

DROP TRIGGER run_moved;
CREATE TRIGGER run_moved AFTER UPDATE OF phase ON runs
WHEN OLD.phase <> NEW.phase
BEGIN
    INSERT INTO occurrences (kind, subject, reason, who, at) VALUES (
        CASE NEW.phase WHEN 'refused' THEN 'plan.refused' ELSE 'run.' || NEW.phase END, NEW.id, NEW.verdict,
        CASE WHEN NEW.phase = 'discarded' AND NEW.approved = 0 THEN NEW.decided_by ELSE '' END,
        CASE NEW.phase WHEN 'planned' THEN NEW.planned WHEN 'applying' THEN NEW.applying ELSE NEW.finished END);
END;
