-- What a user has spent counts per currency: amounts of different currencies cannot be added. Such rows of spend_windows
-- have level 3, and as entity the user and the currency of the account. A row of level 1 has the sum over all currencies.

-- As userSpendNumber in engine/core/spend-key.ts: three letters as a number to the base 27 stay below 2^15; '' is 0.
CREATE FUNCTION user_currency(user_id bigint, currency text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN user_id * 32768 + CASE WHEN currency = '' THEN 0
  ELSE ((ascii(currency) - 64) * 27 + ascii(substr(currency, 2)) - 64) * 27 + ascii(substr(currency, 3)) - 64 END;

-- Each currency's windows of a user, from those of the user's cards: a card has one account, and so one currency, and
-- whatever counts for a card counts for its user. As of the newest day on which one of the cards has spent.
CREATE FUNCTION user_windows(of_user bigint) RETURNS SETOF spend_windows
LANGUAGE sql STABLE AS $$
  SELECT user_currency(of_user, s.currency),
    (sum(s.daily_amount) FILTER (WHERE s.spend_day = s.newest))::bigint,
    (sum(s.weekly_amount) FILTER (WHERE spend_week(s.spend_day) = spend_week(s.newest)))::bigint,
    (sum(s.monthly_amount) FILTER (WHERE spend_month(s.spend_day) = spend_month(s.newest)))::bigint,
    (sum(s.yearly_amount) FILTER (WHERE spend_year(s.spend_day) = spend_year(s.newest)))::bigint,
    sum(s.lifetime_amount)::bigint,
    s.newest,
    (sum(s.daily_count) FILTER (WHERE s.spend_day = s.newest))::integer,
    (sum(s.weekly_count) FILTER (WHERE spend_week(s.spend_day) = spend_week(s.newest)))::integer,
    (sum(s.monthly_count) FILTER (WHERE spend_month(s.spend_day) = spend_month(s.newest)))::integer,
    (sum(s.yearly_count) FILTER (WHERE spend_year(s.spend_day) = spend_year(s.newest)))::integer,
    sum(s.lifetime_count)::integer,
    3::smallint
  FROM (
    SELECT w.*, a.currency, max(w.spend_day) OVER (PARTITION BY a.currency) AS newest
    FROM cards c
    JOIN accounts a ON a.id = c.account_id
    JOIN spend_windows w ON w.level = 0 AND w.entity_id = c.id
    WHERE c.user_id = of_user) s
  GROUP BY s.currency, s.newest
$$;

-- An engine that was started before this migration goes on to write rows of level 1 until its successor takes over. With
-- its transaction, when the rows of the cards are written too, the user's rows are made from those again.
CREATE FUNCTION carry_user_windows() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM spend_windows
  WHERE level = 3 AND entity_id BETWEEN user_currency(NEW.entity_id, '') AND user_currency(NEW.entity_id, 'ZZZ');
  INSERT INTO spend_windows SELECT * FROM user_windows(NEW.entity_id);
  RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER spend_windows_carry_user AFTER INSERT OR UPDATE ON spend_windows
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.level = 1)
EXECUTE FUNCTION carry_user_windows();

-- Every row of before: the trigger's lock keeps others from writing until this migration has committed.
INSERT INTO spend_windows
SELECT w.* FROM spend_windows s CROSS JOIN LATERAL user_windows(s.entity_id) w WHERE s.level = 1;

COMMENT ON FUNCTION user_currency IS 'Entity of a row of spend_windows of level 3: what a user has spent in one currency.';
