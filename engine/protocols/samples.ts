/**
 * Messages with their answers, as docs/messages.md and the README show them. engine/end-to-end/samples.test.ts
 * sends them in this order to an engine with the demo data of `make run`.
 */

export interface Sample {
  readonly title: string;
  readonly path: '/v1/authorizations' | '/marqeta/jit';
  readonly message: object;
  readonly status: number;
  /** Without `responseTimeMs`, which differs from call to call. */
  readonly answer: object;
}

const native = '/v1/authorizations';
const [card, currency] = ['card_demo', 'USD'];

export const purchase: Sample = {
  title: 'A purchase',
  path: native,
  message: {
    id: 'demo-1',
    type: 'authorization',
    card,
    amount: 1250,
    currency,
    merchant: { id: 'm-1', name: 'Corner Store', mcc: '5411', country: 'US' },
    channel: 'chip',
  },
  status: 200,
  answer: {
    id: 'demo-1',
    approved: true,
    reason: 'approved',
    responseCode: '00',
    authorizationId: 'demo-1',
    amount: 1250,
    approvedAmount: 1250,
    available: 98750,
    currency: 'USD',
  },
};

export const samples: readonly Sample[] = [
  purchase,
  {
    title: 'An increment',
    path: native,
    message: { id: 'demo-2', type: 'incremental', card, amount: 500, currency, original: 'demo-1' },
    status: 200,
    answer: {
      id: 'demo-2',
      approved: true,
      reason: 'approved',
      responseCode: '00',
      authorizationId: 'demo-1',
      amount: 500,
      approvedAmount: 500,
      available: 98250,
      currency: 'USD',
    },
  },
  {
    title: 'A clearing: the last one, which frees the rest of the hold',
    path: native,
    message: { id: 'demo-3', type: 'clearing', card, amount: 1500, currency, original: 'demo-1' },
    status: 200,
    answer: {
      id: 'demo-3',
      approved: true,
      reason: 'approved',
      responseCode: '00',
      authorizationId: 'demo-1',
      amount: 1500,
      approvedAmount: 1500,
      available: 98500,
      currency: 'USD',
    },
  },
  {
    title: 'A refund',
    path: native,
    message: { id: 'demo-4', type: 'refund', card, amount: 300, currency, original: 'demo-1' },
    status: 200,
    answer: {
      id: 'demo-4',
      approved: true,
      reason: 'approved',
      responseCode: '00',
      authorizationId: 'demo-1',
      amount: 300,
      approvedAmount: 300,
      available: 98800,
      currency: 'USD',
    },
  },
  {
    title: 'A purchase beyond a limit of the card',
    path: native,
    message: { id: 'demo-5', type: 'authorization', card: 'card_demo_limited', amount: 6000, currency },
    status: 200,
    answer: {
      id: 'demo-5',
      approved: false,
      reason: 'limit_exceeded',
      detail: 'card.perAuthorization',
      responseCode: '61',
      authorizationId: 'demo-5',
      amount: 6000,
      approvedAmount: 0,
      available: 98800,
      currency: 'USD',
    },
  },
  {
    title: 'An advice: the network approved in our place',
    path: native,
    message: { id: 'demo-6', type: 'advice', card, amount: 700, currency },
    status: 200,
    answer: {
      id: 'demo-6',
      approved: true,
      reason: 'approved',
      responseCode: '00',
      authorizationId: 'demo-6',
      amount: 700,
      approvedAmount: 700,
      available: 98100,
      currency: 'USD',
    },
  },
  {
    title: 'A reversal of everything that is left',
    path: native,
    message: { id: 'demo-7', type: 'reversal', card, original: 'demo-6' },
    status: 200,
    answer: {
      id: 'demo-7',
      approved: true,
      reason: 'approved',
      responseCode: '00',
      authorizationId: 'demo-6',
      amount: 700,
      approvedAmount: 700,
      available: 98800,
      currency: 'USD',
    },
  },
  {
    title: 'A clearing without an original: a force post',
    path: native,
    message: { id: 'demo-8', type: 'clearing', card, amount: 200, currency },
    status: 200,
    answer: {
      id: 'demo-8',
      approved: true,
      reason: 'approved',
      detail: 'force_post',
      responseCode: '00',
      authorizationId: 'demo-8',
      amount: 200,
      approvedAmount: 200,
      available: 98600,
      currency: 'USD',
    },
  },
  {
    title: 'A verification',
    path: native,
    message: { id: 'demo-9', type: 'verification', card },
    status: 200,
    answer: {
      id: 'demo-9',
      approved: true,
      reason: 'approved',
      responseCode: '85',
      authorizationId: 'demo-9',
      amount: 0,
      approvedAmount: 0,
      available: 98600,
      currency: 'USD',
    },
  },
  {
    title: 'A balance inquiry',
    path: native,
    message: { id: 'demo-10', type: 'balance_inquiry', card },
    status: 200,
    answer: {
      id: 'demo-10',
      approved: true,
      reason: 'approved',
      responseCode: '00',
      authorizationId: 'demo-10',
      amount: 0,
      approvedAmount: 0,
      available: 98600,
      currency: 'USD',
    },
  },
  {
    title: 'A conflict: the id of the purchase with another amount',
    path: native,
    message: { ...purchase.message, amount: 1300 },
    status: 409,
    answer: {
      type: '/api/docs/problems/duplicate_conflict',
      title: 'duplicate_conflict',
      status: 409,
      detail: 'this id was used before: same id, other content; nothing was held',
      id: 'demo-1',
      approved: false,
      reason: 'duplicate_conflict',
      responseCode: '94',
    },
  },
  {
    title: 'A malformed message',
    path: native,
    message: { id: 'demo-11', type: 'authorization', card, amount: -5, currency },
    status: 400,
    answer: {
      type: '/api/docs/problems/invalid_request',
      title: 'invalid_request',
      status: 400,
      detail: 'amount must be an integer of minor units, 0 to 9007199254740991',
      field: 'amount',
      errors: [
        {
          field: 'amount',
          pointer: '/amount',
          detail: 'amount must be an integer of minor units, 0 to 9007199254740991',
        },
      ],
    },
  },
  {
    title: "Marqeta's form of a purchase",
    path: '/marqeta/jit',
    message: {
      card_token: card,
      currency_code: currency,
      gpa_order: {
        currency_code: currency,
        jit_funding: { token: 'jit-1', method: 'pgfs.authorization', user_token: 'user-1', amount: 12.5 },
      },
      card_acceptor: { mid: 'm-1', mcc: '5411', name: 'Corner Store', country_code: 'USA' },
      pos: { pan_entry_mode: 'CHIP' },
    },
    status: 200,
    answer: { jit_funding: { token: 'jit-1', method: 'pgfs.authorization', user_token: 'user-1', amount: 12.5 } },
  },
  {
    title: "A decline in Marqeta's form",
    path: '/marqeta/jit',
    message: {
      card_token: 'card_demo_frozen',
      gpa_order: {
        currency_code: currency,
        jit_funding: { token: 'jit-2', method: 'pgfs.authorization', amount: 12.5 },
      },
    },
    status: 402,
    answer: {
      jit_funding: { token: 'jit-2', method: 'pgfs.authorization', amount: 12.5, decline_reason: 'CARD_NOT_ACTIVE' },
    },
  },
];
