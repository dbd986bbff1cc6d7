-- feed_confirm() and the live engines in one question, for it is asked for every change. The engines are read by a statement
-- of their own after the numbers were given. An engine that registers meanwhile, and is not seen here, reads its newest
-- number after its registration: it sees our entries unnumbered, waits for our lock, and reads a number that has them.
CREATE FUNCTION feed_confirm_live(
  topics text[], keys bigint[], versions bigint[],
  OUT newest bigint, OUT more boolean, OUT present boolean[], OUT engines jsonb
)
LANGUAGE plpgsql AS $$
BEGIN
  SELECT c.newest, c.more, c.present INTO newest, more, present FROM feed_confirm(topics, keys, versions) c;
  SELECT coalesce(jsonb_agg(jsonb_build_object('id', e.id, 'applied', e.applied)), '[]') INTO engines
  FROM feed_engines_live e;
END
$$;
