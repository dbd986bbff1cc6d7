/** The customers' app. */
import '../kit/kit.css';
import { start } from '../kit/shell.js';
import { SignIn } from '../kit/sign-in.js';
import { routes } from './routes.js';

await start('app', { name: 'name.app', routes, entrance: <SignIn name="name.app" /> });
