/** Messages as Lithic sends them, for tests and benchmarks. Values are invented. */

/** A question of Auth Stream Access with all its objects. @param changes over its members */
export function lithicSample(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    event_type: 'card_authorization.approval_request',
    token: '2f0c1d9a-0000-4000-8000-000000000001',
    status: 'AUTHORIZATION',
    created: '2026-11-22T09:26:53Z',
    network: 'MASTERCARD',
    network_risk_score: 112,
    amounts: lithicAmounts(8000),
    amount: 8000,
    authorization_amount: 8000,
    merchant_amount: 8000,
    settled_amount: 0,
    cardholder_currency: 'USD',
    merchant_currency: 'USD',
    acquirer_fee: 0,
    cash_amount: 0,
    merchant: lithicMerchant,
    card: {
      token: 'card_000001_1',
      last_four: '0014',
      state: 'OPEN',
      type: 'VIRTUAL',
      memo: 'office',
      spend_limit: 50_000,
      spend_limit_duration: 'MONTHLY',
    },
    avs: { zipcode: '62701', address: '', address_on_file_match: 'MATCH_ZIP_ONLY' },
    pos: {
      entry_mode: { card: 'PRESENT', cardholder: 'PRESENT', pan: 'CONTACTLESS', pin_entered: false },
      terminal: {
        attended: true,
        card_retention_capable: false,
        on_premise: true,
        operator: 'CARD_ACCEPTOR',
        partial_approval_capable: true,
        pin_capability: 'CAPABLE',
        type: 'POS_TERMINAL',
        acceptor_terminal_id: 'TERM0007',
      },
    },
    transaction_initiator: 'CARDHOLDER',
    cardholder_authentication: null,
    network_specific_data: {
      mastercard: { transaction_type_identifier: null, on_behalf_service_result: [] },
      visa: null,
    },
    token_info: null,
    name_validation: null,
    service_location: null,
    ...changes,
  };
}

export const lithicMerchant = {
  acceptor_id: 'SHOP00000000042',
  acquiring_institution_id: '123456',
  descriptor: 'CORNER GROCER',
  mcc: '5411',
  city: 'SPRINGFIELD',
  state: 'IL',
  country: 'USA',
  phone_number: null,
  postal_code: '62701',
  street_address: null,
};

export function lithicAmounts(amount: number, hold: number | null = null, currency = 'USD') {
  return {
    cardholder: { amount, currency, conversion_rate: '1.000000' },
    merchant: { amount, currency },
    hold: hold === null ? null : { amount: hold, currency },
    settlement: null,
  };
}

export interface LithicEvent {
  readonly token: string;
  readonly type: string;
  readonly amount: number;
  /** APPROVED when it is not given. */
  readonly result?: string;
}

/** card_transaction.updated with these events, which are a second apart. */
export function lithicTransaction(
  { token, card, status }: { readonly token: string; readonly card: string; readonly status: string },
  events: readonly LithicEvent[],
): Record<string, unknown> {
  return {
    event_type: 'card_transaction.updated',
    token,
    card_token: card,
    account_token: 'b68b7424-aa69-4cbc-a946-30d90181b621',
    status,
    result: events.at(-1)?.result ?? 'APPROVED',
    network: 'VISA',
    created: '2026-11-22T09:26:53Z',
    updated: '2026-11-22T09:26:54Z',
    amounts: lithicAmounts(events[0]?.amount ?? 0, 0),
    merchant: lithicMerchant,
    tags: {},
    events: events.map(({ token: event, type, amount, result = 'APPROVED' }, index) => ({
      token: event,
      type,
      amount,
      result,
      amounts: { ...lithicAmounts(amount), hold: undefined },
      created: new Date(Date.UTC(2026, 10, 22, 9, 26, 53 + index, 637)).toISOString(),
      detailed_results: [result],
      effective_polarity: 'DEBIT',
      network_info: null,
      rule_results: [],
    })),
  };
}
