/** Every page of the app: one line each, and its file in `pages`. */
import type { Route } from '../kit/router.js';

export const routes: readonly Route[] = [
  { path: '/', title: 'home.title', nav: true, load: () => import('./pages/home.js') },
];
