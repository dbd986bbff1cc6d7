-- What cards, users and accounts with rolling limits have spent, in cells of ten minutes since 1970: rolling.ts in
-- engine/core has the rules. Settled with the journal, like the calendar windows. Levels are those of spend_windows.
CREATE TABLE rolling_spend (
  entity_id bigint NOT NULL,
  cell bigint NOT NULL,
  amount bigint NOT NULL CHECK (amount >= 0),
  -- Local day of the spending: what is given back later names it.
  day integer NOT NULL,
  count integer NOT NULL CHECK (count >= 0),
  level smallint NOT NULL,
  PRIMARY KEY (level, entity_id, cell, day)
);
CREATE INDEX rolling_spend_day ON rolling_spend (level, entity_id, day);

-- Applies additions and what is given back, in order: as Rolling.add() does. What is given back is taken from the
-- earliest cells of its day, and from none on the day on which counting began.
CREATE FUNCTION settle_rolling(
  r_level smallint[], r_entity bigint[], r_day integer[], r_cell bigint[], r_amount bigint[], r_count integer[]
) RETURNS boolean
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
  r record;
BEGIN
  FOR r IN
    SELECT * FROM unnest(r_level, r_entity, r_day, r_cell, r_amount, r_count)
      WITH ORDINALITY u (level, entity, day, cell, amount, count, place) ORDER BY u.place
  LOOP
    IF r.amount > 0 OR r.count > 0 THEN
      INSERT INTO rolling_spend AS s (level, entity_id, day, cell, amount, count)
      VALUES (r.level, r.entity, r.day, r.cell, greatest(0, r.amount), greatest(0, r.count))
      ON CONFLICT (level, entity_id, cell, day) DO UPDATE
      SET amount = s.amount + excluded.amount, count = s.count + excluded.count;
    END IF;
    IF (r.amount < 0 OR r.count < 0) AND r.day > (
      SELECT min(f.day) FROM rolling_spend f WHERE f.level = r.level AND f.entity_id = r.entity
    ) THEN
      UPDATE rolling_spend s SET
        amount = s.amount - least(s.amount, greatest(0, 0 - r.amount - t.amount_before)),
        count = s.count - least(s.count, greatest(0, 0 - r.count - t.count_before))
      FROM (
        SELECT e.cell, (sum(e.amount) OVER w)::bigint - e.amount AS amount_before,
          (sum(e.count) OVER w)::bigint - e.count AS count_before
        FROM rolling_spend e WHERE e.level = r.level AND e.entity_id = r.entity AND e.day = r.day
        WINDOW w AS (ORDER BY e.cell)
      ) t
      WHERE s.level = r.level AND s.entity_id = r.entity AND s.day = r.day AND s.cell = t.cell;
    END IF;
  END LOOP;
  -- What no window counts any more: 90 days and twelve hours of cells are kept.
  DELETE FROM rolling_spend s
  USING (
    SELECT u.level, u.entity, max(u.cell) AS newest
    FROM unnest(r_level, r_entity, r_cell) u (level, entity, cell) GROUP BY u.level, u.entity
  ) n
  WHERE s.level = n.level AND s.entity_id = n.entity AND s.cell < n.newest - 13032;
  RETURN true;
END
$$;

-- What an engine takes into memory of an entity; null: there is nothing. The last 24 hours come cell by cell, with the
-- rest of their first day in one cell, and all of it in cells of six hours.
CREATE FUNCTION rolling_use(of_level smallint, of_entity bigint) RETURNS json
LANGUAGE sql STABLE AS $$
  WITH counted AS (
    SELECT r.cell, r.day, r.amount, r.count, r.cell > max(r.cell) OVER () - 146 AS is_recent
    FROM rolling_spend r WHERE r.level = of_level AND r.entity_id = of_entity
  ), fine AS (
    SELECT max(c.cell) AS cell, c.day, sum(c.amount)::bigint AS amount, sum(c.count)::integer AS count
    FROM counted c WHERE c.day >= (SELECT min(d.day) FROM counted d WHERE d.is_recent)
    GROUP BY c.day, CASE WHEN c.is_recent THEN c.cell END
  ), coarse AS (
    SELECT c.cell / 36 AS cell, c.day, sum(c.amount)::bigint AS amount, sum(c.count)::integer AS count
    FROM counted c GROUP BY c.cell / 36, c.day
  )
  SELECT CASE WHEN EXISTS (SELECT FROM counted) THEN json_build_object(
    'since', (SELECT min(c.day) FROM counted c),
    'fine', (SELECT json_agg(json_build_array(f.cell, f.day, f.amount, f.count) ORDER BY f.cell, f.day) FROM fine f),
    'coarse', (
      SELECT json_agg(json_build_array(c.cell, c.day, c.amount, c.count) ORDER BY c.cell, c.day) FROM coarse c))
  END
$$;

COMMENT ON TABLE rolling_spend IS 'Spent in cells of ten minutes, of entities with a rolling limit.';
