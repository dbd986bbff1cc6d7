/** The page's side of the service worker: starting it, offering a new version, and saying that lists are kept ones. */
import { signal } from '@preact/signals';
import { call, keptAtMs, session } from '../kit/api.js';
import { Button } from '../kit/controls.js';
import { t } from '../kit/messages.js';
import { Stale } from '../kit/states.js';
import { lastLists } from './shapes.js';

/** A new version that waits until the person wants it. */
const waiting = signal<ServiceWorker | null>(null);

/** The address of a worker is code: browsers with Trusted Types take it from a policy that the server allows. */
interface Policies {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string };
}

export function startServiceWorker(): void {
  if (!('serviceWorker' in navigator)) return;
  const { trustedTypes } = globalThis as unknown as { trustedTypes?: Policies };
  const address = '/app/service-worker.js';
  const policy = trustedTypes?.createPolicy('app-worker', { createScriptURL: () => address });
  void navigator.serviceWorker
    .register(policy?.createScriptURL(address) ?? address, { scope: '/app', updateViaCache: 'none' })
    .then(watch)
    // Without it the app works, as long as there is a network.
    .catch(() => undefined);
}

function watch(registration: ServiceWorkerRegistration): void {
  const offer = () => {
    // The first one has nothing to replace.
    if (navigator.serviceWorker.controller !== null) waiting.value = registration.waiting;
  };
  offer();
  // The first pages were read before the worker was there to keep them.
  if (navigator.serviceWorker.controller === null) {
    navigator.serviceWorker.addEventListener('controllerchange', keepLists, { once: true });
  }
  // On a slow phone the new one may be on its way before this page runs.
  const follow = () => registration.installing?.addEventListener('statechange', offer);
  follow();
  registration.addEventListener('updatefound', follow);
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') void registration.update().catch(() => undefined);
  });
}

function keepLists(): void {
  if (session.value == null) return;
  for (const path of ['/api/app/session', ...Object.values(lastLists)]) void call('GET', path).catch(() => undefined);
}

function useNewVersion(): void {
  navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
  waiting.value?.postMessage('use');
}

export function Installed() {
  return (
    <>
      {keptAtMs.value !== null && <Stale sinceMs={keptAtMs.value} />}
      <span role="status">
        {waiting.value !== null && <Button onClick={useNewVersion}>{t('app.newVersion')}</Button>}
      </span>
    </>
  );
}
