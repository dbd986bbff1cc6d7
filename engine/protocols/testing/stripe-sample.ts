/** Events as Stripe sends them, for tests and benchmarks. Values are invented. */

export const stripeMerchant = {
  category: 'grocery_stores_supermarkets',
  category_code: '5411',
  city: 'SPRINGFIELD',
  country: 'US',
  name: 'CORNER GROCER',
  network_id: 'SHOP00000000042',
  postal_code: '62701',
  state: 'IL',
  tax_id: null,
  terminal_id: '99',
  url: null,
};

const cardObject = {
  object: 'issuing.card',
  brand: 'Visa',
  currency: 'usd',
  exp_month: 8,
  exp_year: 2031,
  last4: '0014',
  status: 'active',
  type: 'virtual',
  cardholder: {
    id: 'ich_demo_204',
    object: 'issuing.cardholder',
    name: 'Jenny Rosen',
    status: 'active',
    billing: { address: { city: 'Springfield', country: 'US', line1: '1 Main St', line2: null, postal_code: '62701' } },
    spending_controls: { allowed_categories: [], blocked_categories: [], spending_limits: [] },
  },
  metadata: {},
  spending_controls: {
    blocked_categories: ['automated_cash_disburse'],
    spending_limits: [{ amount: 30_000, categories: null, interval: 'weekly' }],
  },
};

export interface StripeAuthorization {
  readonly id: string;
  readonly card: string;
  readonly amount?: number;
  readonly changes?: Record<string, unknown>;
}

/** An authorization with all its objects. */
export function stripeAuthorization({ id, card, amount = 0, changes = {} }: StripeAuthorization) {
  return {
    id,
    object: 'issuing.authorization',
    amount,
    amount_details: { atm_fee: null, cashback_amount: null },
    approved: false,
    authorization_method: 'online',
    balance_transactions: [],
    card: { id: card, ...cardObject },
    card_presence: 'not_present',
    cardholder: 'ich_demo_204',
    created: 1_790_000_000,
    currency: 'usd',
    fleet: null,
    fuel: null,
    livemode: false,
    merchant_amount: amount,
    merchant_currency: 'usd',
    merchant_data: stripeMerchant,
    metadata: {},
    network_data: { acquiring_institution_id: '123456', system_trace_audit_number: '000321', transaction_id: 'txn-9' },
    pending_request: null,
    request_history: [],
    status: 'pending',
    token: null,
    transactions: [],
    verification_data: {
      address_line1_check: 'not_provided',
      address_postal_code_check: 'match',
      authentication_exemption: null,
      cvc_check: 'match',
      expiry_check: 'match',
      postal_code: '62701',
      three_d_secure: null,
    },
    wallet: null,
    ...changes,
  };
}

/** An event about an object. */
export function stripeEvent(id: string, type: string, object: object, previous?: object): Record<string, unknown> {
  return {
    id,
    object: 'event',
    api_version: '2026-10-28.endive',
    created: 1_790_000_000,
    data: { object, ...(previous === undefined ? {} : { previous_attributes: previous }) },
    livemode: false,
    pending_webhooks: 1,
    request: { id: null, idempotency_key: null },
    type,
  };
}

/** What is asked, with `held` so far. */
export function stripeQuestion(
  event: string,
  of: StripeAuthorization & { readonly asked: number; readonly isControllable?: boolean; readonly currency?: string },
): Record<string, unknown> {
  const { asked, isControllable = true, currency = 'usd', changes } = of;
  const pending_request = {
    amount: asked,
    amount_details: { atm_fee: null, cashback_amount: 0 },
    currency,
    is_amount_controllable: isControllable,
    merchant_amount: asked,
    merchant_currency: currency,
    network_risk_score: 12,
  };
  const object = stripeAuthorization({ ...of, changes: { pending_request, ...changes } });
  return stripeEvent(event, 'issuing_authorization.request', object);
}
