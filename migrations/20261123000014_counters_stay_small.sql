-- Rows that every batch of events changes stay on their pages (heap-only updates), so that counting costs the same however long it goes on.
alter table event_count set (fillfactor = 60);
alter table inspect_latency set (fillfactor = 40);
alter table detection_count set (fillfactor = 60);
alter table runtime_pattern set (fillfactor = 70);
alter table tool_use set (fillfactor = 60);
alter table assessment set (fillfactor = 70);
