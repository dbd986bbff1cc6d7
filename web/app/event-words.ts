/** What the messages of a purchase are called. Pure: what it says is tested without a browser. */

/**
 * The type whose word is shown. An advice that opens a transaction is a payment that the network approved by itself;
 * a later one changes what came before.
 *
 * @param index 0: the message opened the transaction
 */
export function shownEventType(type: string, index: number): string {
  return type === 'advice' && index === 0 ? 'authorization' : type;
}
