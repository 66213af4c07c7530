-- Which decision made a state what it is: the newest one that changed what is
-- wanted of the stack; 0: a person's order, or what a look found, did.

ALTER TABLE stacks   ADD COLUMN decision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs     ADD COLUMN decision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE versions ADD COLUMN decision INTEGER NOT NULL DEFAULT 0;
