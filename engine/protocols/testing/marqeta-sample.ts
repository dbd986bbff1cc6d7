/** Test support: a JIT Funding request as Marqeta sends it, all values invented. About two kilobytes. */
import { NumberText } from './mutate.js';

/** @param changes members of jit_funding to add or replace; undefined removes one */
export function marqetaSample(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    type: 'authorization',
    state: 'PENDING',
    token: '5b0c7f6e-0000-4000-8000-00000000a001',
    identifier: '90417',
    user_token: 'emp-204',
    acting_user_token: 'emp-204',
    business_token: 'biz-31',
    card_token: 'card-77',
    card_product_token: 'prod-2',
    created_time: '2031-03-14T09:26:53Z',
    user_transaction_time: '2031-03-14T09:26:52Z',
    request_amount: new NumberText('84.2'),
    amount: new NumberText('84.2'),
    currency_code: 'USD',
    network: 'VISA',
    subnetwork: 'VISANET',
    acquirer: {
      institution_id_code: '123456',
      retrieval_reference_number: '607309000321',
      system_trace_audit_number: '000321',
    },
    fees: [],
    is_preauthorization: false,
    card_acceptor: {
      mid: 'SHOP00000000042',
      mcc: '5411',
      mcc_groups: ['groceries', 'food'],
      name: 'CORNER GROCER',
      street_address: '1 MAIN ST',
      city: 'SÃO PAULO',
      state: 'IL',
      postal_code: '62701',
      country_code: 'USA',
      poi: { partial_approval_capable: '0', tid: 'TERM0007' },
    },
    pos: {
      pan_entry_mode: 'CHIP_CONTACTLESS',
      pin_entry_mode: 'TRUE',
      pin_present: false,
      terminal_id: 'TERM0007',
      card_presence: true,
      partial_approval_capable: true,
      is_recurring: false,
    },
    transaction_metadata: { payment_channel: 'OTHER', authorization_life_cycle: 7, transit: null },
    fraud: { network: { transaction_risk_score: 12 }, issuer_processor: { score: 0.37, rule_violations: [] } },
    cardholder_authentication_data: { electronic_commerce_indicator: 'x', verification_result: 'not_present' },
    card: { last_four: '4242', metadata: { note: 'line one\nline two' } },
    gpa: {
      currency_code: 'USD',
      ledger_balance: new NumberText('512.40'),
      available_balance: new NumberText('412.4'),
      balances: { USD: { currency_code: 'USD', ledger_balance: new NumberText('512.4') } },
    },
    gpa_order: {
      token: 'order-9001',
      amount: new NumberText('84.2'),
      currency_code: 'USD',
      user_token: 'emp-204',
      transaction_token: '5b0c7f6e-0000-4000-8000-00000000a001',
      state: 'PENDING',
      funding: { amount: new NumberText('84.2'), source: { type: 'programgateway', token: 'pgfs-main' } },
      funding_source_token: 'pgfs-main',
      jit_funding: {
        token: '7d1e4c2a-0000-4000-8000-00000000b001',
        method: 'pgfs.authorization',
        user_token: 'emp-204',
        acting_user_token: 'emp-204',
        amount: new NumberText('84.2'),
        address_verification: { request: { postal_code: '62701' }, issuer: { response: { code: '0000' } } },
        ...changes,
      },
    },
  };
}

/** The sample's text; NumberText keeps its digits. */
export function sampleText(value: unknown): string {
  if (value instanceof NumberText) return value.text;
  if (Array.isArray(value)) return `[${value.map(sampleText).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${sampleText(member)}`).join(',')}}`;
}

export interface MarqetaJit {
  readonly token: string;
  readonly original?: string | undefined;
  readonly method: string;
  readonly amount?: string;
}

export interface MarqetaMessage {
  readonly type: string;
  readonly state: string;
  readonly token: string;
  readonly card: string;
  /** Major units, as text. */
  readonly amount: string;
  /** Absent: no order has a JIT funding. */
  readonly jit?: MarqetaJit | undefined;
  readonly isUnload?: boolean;
  /** The gateway's answer as Marqeta logged it; absent: no log. */
  readonly log?: { readonly code: string; readonly timed_out?: boolean } | undefined;
  readonly changes?: Record<string, unknown>;
}

/** One message of a notification, with all its objects. */
export function marqetaMessage(of: MarqetaMessage): Record<string, unknown> {
  const { type, state, token, card, amount, jit, isUnload = false, log, changes = {} } = of;
  const { gpa_order: sample, ...rest } = marqetaSample() as { gpa_order: Record<string, unknown> };
  const order = {
    ...sample,
    amount: new NumberText(amount),
    state,
    transaction_token: token,
    funding: {
      ...(sample['funding'] as object),
      gateway_log:
        log === undefined
          ? undefined
          : {
              order_number: token,
              transaction_id: jit?.token,
              message: 'Approved or completed successfully',
              duration: 27,
              timed_out: log.timed_out ?? false,
              response: { code: log.code, data: { jit_funding: { token: jit?.token } } },
            },
    },
    jit_funding:
      jit === undefined
        ? undefined
        : {
            token: jit.token,
            original_jit_funding_token: jit.original,
            method: jit.method,
            user_token: 'emp-204',
            amount: new NumberText(jit.amount ?? amount),
          },
  };
  return {
    ...rest,
    type,
    state,
    token,
    card_token: card,
    amount: new NumberText(amount),
    request_amount: new NumberText(amount),
    [isUnload ? 'gpa_order_unload' : 'gpa_order']: order,
    ...changes,
  };
}
