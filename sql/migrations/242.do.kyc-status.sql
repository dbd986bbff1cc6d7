-- Whether a customer's identity was checked (know your customer): cards are made for verified customers alone. A customer is
-- a person, or a company with everyone who works for it, so the status of a company's users is the company's; theirs here
-- counts for nothing. Customers from before this migration have cards, and count as verified.
ALTER TABLE users ADD COLUMN kyc_status text NOT NULL DEFAULT 'verified'
  CHECK (kyc_status IN ('pending', 'verified', 'rejected'));
ALTER TABLE users ALTER COLUMN kyc_status SET DEFAULT 'pending';
ALTER TABLE companies ADD COLUMN kyc_status text NOT NULL DEFAULT 'verified'
  CHECK (kyc_status IN ('pending', 'verified', 'rejected'));
ALTER TABLE companies ALTER COLUMN kyc_status SET DEFAULT 'pending';
