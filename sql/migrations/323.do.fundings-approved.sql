-- For the sweep that completes what an operator approved and whose outcome was not learned.
CREATE INDEX fundings_approved ON fundings (decided_at) WHERE status = 'approved';
