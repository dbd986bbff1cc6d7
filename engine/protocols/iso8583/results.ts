/**
 * What an answer says in DE 39: two characters in 1987, an action code of three digits in 1993. Codes of 1993 that no
 * public source settles are in common use.
 */

/** What is answered beside the reasons of the core, as codes of 1987. */
export const ResponseCode = {
  approved: '00',
  partial: '10',
  originalNotFound: '25',
  formatError: '30',
  notSupported: '40',
  unavailable: '91',
  duplicate: '94',
} as const;

const actionCodes: Readonly<Record<string, string>> = {
  '00': '000',
  '10': '002',
  '12': '902',
  '13': '110',
  '14': '111',
  '25': '914',
  '30': '904',
  '40': '115',
  '51': '116',
  '54': '101',
  '57': '119',
  '61': '121',
  '62': '104',
  '65': '123',
  '84': '915',
  '85': '000',
  '91': '907',
  '94': '913',
  '96': '909',
};
/** Declined, for a reason that has no word of its own. */
const doNotHonour = '100';
/** The answer of 1993 to a reversal and to a message about the network. */
const reversalAccepted = '400';
const networkAccepted = '800';

export type ResponseCodes = 1987 | 1993;

/**
 * DE 39 in the link's version.
 * @param code of 1987
 * @param messageClass the class in the message type of the question
 */
export function de39(code: string, codes: ResponseCodes, messageClass: number): string {
  if (codes === 1987) return code;
  if (code === ResponseCode.approved && messageClass === 4) return reversalAccepted;
  if (code === ResponseCode.approved && messageClass === 8) return networkAccepted;
  return actionCodes[code] ?? doNotHonour;
}

/** Whether an advice reports an approval. Without DE 39 it does: the message exists to report one. */
export function reportsApproval(code: string): boolean {
  if (code === '') return true;
  return code.length === 3 ? code.startsWith('0') : ['00', '08', '10', '11', '85', '87'].includes(code);
}
