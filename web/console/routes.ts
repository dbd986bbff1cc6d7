/** Every page of the console: one line each, and its file in `pages`. */
import type { Route } from '../kit/router.js';

export const routes: readonly Route[] = [
  { path: '/', title: 'live.title', keys: 'g l', nav: true, load: () => import('./pages/live.js') },
];
