/** Every route of the API: what the server registers, the documentation describes and the tenancy test walks. */
import type { Route } from '../http/route.js';
import type { Services } from '../services.js';
import { authRoutes } from './auth.js';
import { companyRoutes } from './companies.js';
import { meRoutes } from './me.js';
import { operationsRoutes } from './operations.js';
import { userRoutes } from './users.js';

export function allRoutes(services: Services): Route[] {
  return [
    ...operationsRoutes(services),
    ...authRoutes(services),
    ...meRoutes(services),
    ...companyRoutes(services),
    ...userRoutes(services),
  ];
}
