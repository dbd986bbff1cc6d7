/** Every page of the app: one line each, and its file in `pages`. */
import type { Route } from '../kit/router.js';

export const routes: readonly Route[] = [
  { path: '/', title: 'home.title', nav: true, load: () => import('./pages/home.js') },
  { path: '/cards', title: 'cards.title', nav: true, load: () => import('./pages/cards.js') },
  { path: '/cards/new', title: 'cards.new', load: () => import('./pages/new-card.js') },
  { path: '/cards/:id', title: 'card.title', load: () => import('./pages/card.js') },
  { path: '/limits/:topic/:id', title: 'limits.title', load: () => import('./pages/limits.js') },
  { path: '/transactions', title: 'transactions.title', nav: true, load: () => import('./pages/transactions.js') },
  { path: '/transactions/:id', title: 'transaction.title', load: () => import('./pages/transaction.js') },
  { path: '/spending', title: 'spending.title', nav: true, load: () => import('./pages/spending.js') },
  { path: '/accounts/:id', title: 'account.title', load: () => import('./pages/account.js') },
  { path: '/people', title: 'people.title', load: () => import('./pages/people.js') },
  { path: '/profile', title: 'profile.title', nav: true, load: () => import('./pages/profile.js') },
];
