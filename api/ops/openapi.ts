import { alive, documentOf, health, probes, ready } from '../../platform/problems/openapi-parts.js';

/** The account API's ops port. */
export const apiOpsDocument = documentOf({
  title: 'Atlanticfrewaycard API ops port',
  description: 'Health and metrics of one account API, loopback by default.',
  url: '/',
  schemas: { Alive: alive, Ready: ready, Health: health },
  paths: probes,
});
