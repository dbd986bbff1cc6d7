/** The customers' app. */
import '../kit/kit.css';
import './app.css';
import { start } from '../kit/shell.js';
import { Entrance } from './entrance.js';
import { routes } from './routes.js';
import { Installed, startServiceWorker } from './service.js';

await start('app', { name: 'name.app', routes, entrance: <Entrance />, extra: <Installed /> });
startServiceWorker();
