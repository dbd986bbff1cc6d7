/** Every route of the API: what the server registers, the documentation describes and the tenancy test walks. */
import type { Route } from '../http/route.js';
import type { Services } from '../services.js';
import { accountRoutes } from './accounts.js';
import { auditRoutes } from './audit.js';
import { authRoutes } from './auth.js';
import { cardFreezeRoutes } from './card-freeze.js';
import { cardReplacementRoutes } from './card-replacement.js';
import { cardRoutes } from './cards.js';
import { companyRoutes } from './companies.js';
import { customerObjectRoutes } from './customer-objects.js';
import { customerRoutes } from './customers.js';
import { decisionRoutes } from './decisions.js';
import { engineRoutes } from './engines.js';
import { fundingRoutes } from './fundings.js';
import { holdReleaseRoutes } from './hold-release.js';
import { imageRoutes } from './images.js';
import { invitationRoutes } from './invitations.js';
import { keyRoutes } from './keys.js';
import { limitRoutes } from './limits.js';
import { limitEffectRoutes } from './limits-effect.js';
import { liveRoutes } from './live.js';
import { meRoutes } from './me.js';
import { operationsRoutes } from './operations.js';
import { operatorRoutes } from './operators.js';
import { pageSessionRoutes } from './page-sessions.js';
import { passwordRoutes } from './passwords.js';
import { quarantineRoutes } from './quarantine.js';
import { searchRoutes } from './search.js';
import { sessionRoutes } from './sessions.js';
import { transactionRoutes } from './transactions.js';
import { userStatusRoutes } from './user-status.js';
import { userRoutes } from './users.js';

export function allRoutes(services: Services): Route[] {
  return [
    ...operationsRoutes(services),
    ...authRoutes(services),
    ...passwordRoutes(services),
    ...meRoutes(services),
    ...sessionRoutes(services),
    ...operatorRoutes(services),
    ...pageSessionRoutes(services),
    ...liveRoutes(services),
    ...engineRoutes(services),
    ...keyRoutes(services),
    ...auditRoutes(services),
    ...customerRoutes(services),
    ...customerObjectRoutes(services),
    ...quarantineRoutes(services),
    ...companyRoutes(services),
    ...imageRoutes(services),
    ...invitationRoutes(services),
    ...userRoutes(services),
    ...userStatusRoutes(services),
    ...accountRoutes(services),
    ...fundingRoutes(services),
    ...cardRoutes(services),
    ...cardFreezeRoutes(services),
    ...cardReplacementRoutes(services),
    ...limitRoutes(services),
    ...limitEffectRoutes(services),
    ...transactionRoutes(services),
    ...holdReleaseRoutes(services),
    ...decisionRoutes(services),
    ...searchRoutes(services),
  ];
}
