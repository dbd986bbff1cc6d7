/** Every page of the console: one line each, and its file in `pages`. */
import type { Route } from '../kit/router.js';

export const routes: readonly Route[] = [
  { path: '/', title: 'live.title', keys: 'g l', nav: true, load: () => import('./pages/live.js') },
  { path: '/search', title: 'search.title', keys: 'g s', nav: true, load: () => import('./pages/search.js') },
  { path: '/decisions/:id', title: 'why.title', load: () => import('./pages/decision.js') },
  { path: '/transactions/:id', title: 'found.transaction', load: () => import('./pages/transaction.js') },
  { path: '/cards/:id', title: 'search.kind.card', load: () => import('./pages/card.js') },
  { path: '/accounts/:id', title: 'search.kind.account', load: () => import('./pages/account.js') },
];
