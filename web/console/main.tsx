/** The operators' console. */
import '../kit/kit.css';
// Here, not where they are used: only these links have hashes.
import 'uplot/dist/uPlot.min.css';
import './live/live.css';
import { start } from '../kit/shell.js';
import { SignIn } from '../kit/sign-in.js';
import { LiveState } from './live/live-state.js';
import { routes } from './routes.js';

await start('console', {
  name: 'name.console',
  routes,
  entrance: <SignIn name="name.console" asksCode />,
  extra: <LiveState />,
  searchPath: '/search',
});
