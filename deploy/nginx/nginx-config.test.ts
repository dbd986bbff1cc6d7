/** The command that writes nginx's configuration refuses what would break it. */
import t from 'tap';
import { nginxConfig } from './nginx-config.js';
import { readNginxArguments } from './read-nginx-arguments.js';

const least = ['--engine', '10.0.0.1:8080,10.0.0.1:8081', '--api', '10.0.0.2:3000'];

t.test('addresses and weights stand in the upstreams', async (t) => {
  const text = nginxConfig(readNginxArguments([...least, '--api', '[fd00::3]:3000,5', '--host', '::']));
  t.match(text, 'server 10.0.0.1:8080 weight=1 max_fails');
  t.match(text, 'server 10.0.0.1:8081 weight=1 max_fails');
  t.match(text, 'server [fd00::3]:3000 weight=5 max_fails');
  t.match(text, 'listen [::]:8080;');
  t.notMatch(text, 'undefined');
});

t.test('/admin/ of all engines answers on a port of its own, where one is asked for', async (t) => {
  const inside = nginxConfig(readNginxArguments([...least, '--admin', '[fd00::9]:8081']));
  t.match(inside, 'listen [fd00::9]:8081;');
  t.match(inside, /location \/admin\/ \{\s+proxy_pass http:\/\/engines_ops;/);
  t.notMatch(nginxConfig(readNginxArguments(least)), '/admin/', 'and nowhere else');
});

t.test('a value that could end a line of the configuration is refused', async (t) => {
  for (const [args, message] of [
    [[], /at least one --engine and one --api/],
    [[...least, '--api', '10.0.0.2:3000;'], /--api takes host:port/],
    [[...least, '--api', '10.0.0.2:70000'], /must be a port/],
    [[...least, '--api', '10.0.0.2:3000,0'], /a weight of --api/],
    [[...least, '--engine', '10.0.0.1:8080'], /--engine takes host:port/],
    [[...least, '--assets', '/srv; deny all'], /--assets cannot be/],
    [[...least, '--host', 'a b'], /--host cannot be/],
    [[...least, '--admin', 'a-name:8081'], /--admin cannot be/],
    [[...least, '--deadline-ms', '4s'], /--deadline-ms must be an integer/],
    [[...least, '--key', '/k.pem'], /belong together/],
    [[...least, '--port', '1'], /--port/],
  ] as const) {
    t.throws(() => readNginxArguments(args), { message });
  }
});
