/** Where a request comes from, as sessions remember it. */
import type { FastifyRequest } from 'fastify';
import { networkOf } from '../auth/networks.js';
import type { Device } from '../stores/sessions.js';

export function deviceOf({ id, ip, headers }: Pick<FastifyRequest, 'id' | 'ip' | 'headers'>): Device {
  return { address: ip, network: networkOf(ip), userAgent: headers['user-agent'] ?? '', requestId: id };
}
