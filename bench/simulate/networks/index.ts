/** The networks by their protocols. */
import type { ProtocolName } from '../story.js';
import { Iso8583Network, type IsoLinks } from './iso8583.js';
import { LithicNetwork } from './lithic.js';
import { MarqetaNetwork } from './marqeta.js';
import { NativeNetwork } from './native.js';
import type { Network } from './network.js';
import type { Credentials, Port } from './port.js';
import { StripeNetwork } from './stripe.js';

/**
 * @param links of ISO 8583; null: there are none
 * @returns the network; a text: why it cannot be played with these
 */
export function networkOf(
  protocol: ProtocolName,
  port: Port,
  credentials: Credentials,
  links: IsoLinks | null,
): Network | string {
  switch (protocol) {
    case 'native':
      return new NativeNetwork(port, credentials);
    case 'marqeta':
      return new MarqetaNetwork(port, credentials);
    case 'lithic':
      if (credentials.lithicSecret === null) return missing('LITHIC_SECRET');
      return new LithicNetwork(port, credentials);
    case 'stripe':
      if (credentials.stripeSecret === null) return missing('STRIPE_SECRET');
      return new StripeNetwork(port, credentials);
    case 'iso8583':
      return links === null ? 'name the port of a link with --iso-port' : new Iso8583Network(links);
  }
}

function missing(variable: string): string {
  return `set ${variable} to the engine's value, or DATA_DIR to the folder of make run, which keeps it`;
}
