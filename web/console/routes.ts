/** Every page of the console: one line each, and its file in `pages`. */
import type { Route } from '../kit/router.js';

export const routes: readonly Route[] = [
  { path: '/', title: 'live.title', keys: 'g l', nav: true, load: () => import('./pages/live.js') },
  { path: '/search', title: 'search.title', keys: 'g s', nav: true, load: () => import('./pages/search.js') },
  { path: '/decisions/:id', title: 'why.title', load: () => import('./pages/decision.js') },
  { path: '/transactions/:id', title: 'found.transaction', load: () => import('./pages/transaction.js') },
  { path: '/cards/:id', title: 'search.kind.card', load: () => import('./pages/card.js') },
  { path: '/accounts/:id', title: 'search.kind.account', load: () => import('./pages/account.js') },
  { path: '/engines', title: 'live.engines', keys: 'g e', nav: true, load: () => import('./pages/engines.js') },
  { path: '/customers', title: 'customers.title', keys: 'g c', nav: true, load: () => import('./pages/customers.js') },
  { path: '/customers/:id', title: 'customer.title', load: () => import('./pages/customer.js') },
  { path: '/fundings', title: 'funding.title', keys: 'g f', nav: true, load: () => import('./pages/fundings.js') },
  { path: '/keys', title: 'keys.pageTitle', keys: 'g k', nav: true, load: () => import('./pages/keys.js') },
  { path: '/audit', title: 'audit.title', keys: 'g a', nav: true, load: () => import('./pages/audit.js') },
  {
    path: '/quarantine',
    title: 'quarantine.title',
    keys: 'g q',
    nav: true,
    load: () => import('./pages/quarantine.js'),
  },
];
