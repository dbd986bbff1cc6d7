/** Networks of addresses: what one client can be taken to have, and what one provider gives to neighbours. */

/** The address itself for IPv4; the /64 for IPv6, which one client has whole. */
export function networkOf(address: string): string {
  return prefixOf(address, 4, 4);
}

/** The /24 for IPv4 and the /48 for IPv6. */
export function wideNetworkOf(address: string): string {
  return prefixOf(address, 3, 3);
}

/** @param numbers how many of the four numbers of an IPv4 address count; `groups`: of the eight groups of IPv6 */
function prefixOf(address: string, numbers: number, groups: number): string {
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? [];
  if (mapped !== undefined || !address.includes(':')) return (mapped ?? address).split('.').slice(0, numbers).join('.');
  const [head = '', tail = ''] = address.split('::');
  const first = head === '' ? [] : head.split(':');
  const last = tail === '' ? [] : tail.split(':');
  const gap = address.includes('::') ? Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0') : [];
  return [...first, ...gap, ...last].slice(0, groups).join(':');
}
