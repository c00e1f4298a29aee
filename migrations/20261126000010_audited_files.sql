-- Which file of an export of several somebody was sent to.

ALTER TABLE export_events ADD COLUMN file INTEGER CHECK (file > 0);
