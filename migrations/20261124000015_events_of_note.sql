-- Correlation looks at the events of the last minutes again and again: at those only that did not simply pass, which are few. By time of
-- receipt alone each look read all of them, as many as came in a quarter of an hour.
drop index event_received;
create index event_noted on event (tenant_id, received_at) where verdict <> 'ALLOW' or detections <> '[]';
