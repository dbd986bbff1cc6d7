-- Cards of an account that are not closed are counted before one is added; closed ones stay, and may be many.
create index cards_open on cards (account_id) where status <> 'closed';
