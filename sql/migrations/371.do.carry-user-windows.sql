-- As in migration 152, and carries a user's windows as migration 206 does for an engine of before that: a trigger of
-- spend_windows cost every engine's settling a look at each row.
CREATE OR REPLACE FUNCTION settle_windows(
  w_round_ends integer[], w_level smallint[], w_entity bigint[], w_day integer[], w_amount bigint[],
  w_amount_floor bigint[], w_count bigint[], w_count_floor bigint[]
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  first_index integer;
  last_index integer;
  row_count bigint;
  of_user bigint;
BEGIN
  first_index := 1;
  FOREACH last_index IN ARRAY w_round_ends LOOP
    UPDATE spend_windows AS s SET
      spend_day = greatest(s.spend_day, w.day),
      daily_amount = spend_sum(
        s.daily_amount, w.day = s.spend_day, w.day > s.spend_day, w.amount, w.amount_floor
      ),
      daily_count = spend_sum(
        s.daily_count, w.day = s.spend_day, w.day > s.spend_day, w.count, w.count_floor
      ),
      weekly_amount = spend_sum(
        s.weekly_amount, w.day = s.spend_day OR spend_week(w.day) = spend_week(s.spend_day),
        w.day > s.spend_day, w.amount, w.amount_floor
      ),
      weekly_count = spend_sum(
        s.weekly_count, w.day = s.spend_day OR spend_week(w.day) = spend_week(s.spend_day),
        w.day > s.spend_day, w.count, w.count_floor
      ),
      monthly_amount = spend_sum(
        s.monthly_amount, w.day = s.spend_day OR spend_month(w.day) = spend_month(s.spend_day),
        w.day > s.spend_day, w.amount, w.amount_floor
      ),
      monthly_count = spend_sum(
        s.monthly_count, w.day = s.spend_day OR spend_month(w.day) = spend_month(s.spend_day),
        w.day > s.spend_day, w.count, w.count_floor
      ),
      yearly_amount = spend_sum(
        s.yearly_amount, w.day = s.spend_day OR spend_year(w.day) = spend_year(s.spend_day),
        w.day > s.spend_day, w.amount, w.amount_floor
      ),
      yearly_count = spend_sum(
        s.yearly_count, w.day = s.spend_day OR spend_year(w.day) = spend_year(s.spend_day),
        w.day > s.spend_day, w.count, w.count_floor
      ),
      lifetime_amount = greatest(w.amount_floor, s.lifetime_amount + w.amount),
      lifetime_count = greatest(w.count_floor, s.lifetime_count + w.count)
    FROM unnest(
      w_level[first_index:last_index], w_entity[first_index:last_index], w_day[first_index:last_index],
      w_amount[first_index:last_index], w_amount_floor[first_index:last_index],
      w_count[first_index:last_index], w_count_floor[first_index:last_index]
    ) AS w (level, entity, day, amount, amount_floor, count, count_floor)
    WHERE s.level = w.level AND s.entity_id = w.entity;
    GET DIAGNOSTICS row_count = ROW_COUNT;
    -- Updating first and inserting the few that are new is cheaper than ON CONFLICT, which locks every row before it
    -- updates it. The partition is the only writer, so no other statement inserts in between.
    IF row_count < last_index - first_index + 1 THEN
      INSERT INTO spend_windows (
        level, entity_id, spend_day, daily_amount, weekly_amount, monthly_amount, yearly_amount, lifetime_amount,
        daily_count, weekly_count, monthly_count, yearly_count, lifetime_count
      )
      SELECT
        w.level, w.entity, w.day, sums.amount, sums.amount, sums.amount, sums.amount, sums.amount,
        sums.count, sums.count, sums.count, sums.count, sums.count
      FROM unnest(
        w_level[first_index:last_index], w_entity[first_index:last_index], w_day[first_index:last_index],
        w_amount[first_index:last_index], w_amount_floor[first_index:last_index],
        w_count[first_index:last_index], w_count_floor[first_index:last_index]
      ) AS w (level, entity, day, amount, amount_floor, count, count_floor)
      CROSS JOIN LATERAL (
        SELECT greatest(w.amount_floor, w.amount) AS amount, greatest(w.count_floor, w.count) AS count
      ) AS sums
      WHERE NOT EXISTS (
        SELECT FROM spend_windows AS s WHERE s.level = w.level AND s.entity_id = w.entity
      );
    END IF;
    first_index := last_index + 1;
  END LOOP;

  IF 1 = ANY (w_level) THEN
    FOR of_user IN SELECT DISTINCT w.entity FROM unnest(w_level, w_entity) AS w (level, entity) WHERE w.level = 1 LOOP
      DELETE FROM spend_windows
      WHERE level = 3 AND entity_id BETWEEN user_currency(of_user, '') AND user_currency(of_user, 'ZZZ');
      INSERT INTO spend_windows SELECT * FROM user_windows(of_user);
    END LOOP;
  END IF;
END
$$;

DROP TRIGGER spend_windows_carry_user ON spend_windows;
DROP FUNCTION carry_user_windows();
