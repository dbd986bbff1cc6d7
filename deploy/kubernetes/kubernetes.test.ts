/** The manifests keep Kubernetes' schemas, fit together, and configure our processes with what they understand. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import t, { type Test } from 'tap';
import { parseAllDocuments } from 'yaml';
import { readApiConfig } from '../../api/config.js';
import { readEngineConfig } from '../../engine/config.js';
import { repositoryRoot } from '../repository-root.js';
import { parseDockerfile } from '../testing/dockerfile.js';
import { kustomized, validateManifests } from '../testing/kubernetes-tools.js';

const root = repositoryRoot();
const folder = join(root, 'deploy/kubernetes');
const dockerfile = parseDockerfile(await readFile(join(root, 'Dockerfile'), 'utf8'));
const documented = await readFile(join(root, 'docs/configuration.md'), 'utf8');

// biome-ignore lint/suspicious/noExplicitAny: manifests of every kind
type Manifest = any;

/** A folder of the test's own beside ours, for kustomize follows relative paths alone. */
async function place(t: Test): Promise<string> {
  const path = await mkdtemp(join(folder, '.build-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** What kustomize makes of a folder, found valid. */
async function valid(t: Test, of: string): Promise<Manifest[]> {
  const text = await kustomized(of);
  const file = join(await place(t), 'manifests.yaml');
  await writeFile(file, text);
  const manifests = parseAllDocuments(text).map((document) => document.toJS() as Manifest);
  const said = await validateManifests(file);
  t.equal(said.match(/passed/g)?.length, manifests.length, said);
  return manifests;
}

const one = (manifests: readonly Manifest[], kind: string, name: string): Manifest =>
  manifests.find((each) => each.kind === kind && each.metadata.name === name);
const podsOf = (manifests: readonly Manifest[]): Manifest[] =>
  manifests.filter(({ kind }) => /^(Deployment|StatefulSet|Job)$/.test(kind)).map(({ spec }) => spec.template);
const hasLabels = (pod: Manifest, labels: Record<string, string>): boolean =>
  Object.entries(labels).every(([key, value]) => pod.metadata.labels[key] === value);

const podIp = '10.244.1.7';

/** The environment of a container: the image's, its ConfigMaps, texts in place of secrets, and the pod's address. */
function environmentOf(manifests: readonly Manifest[], container: Manifest): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const each of dockerfile.at(-1)!.instructions) if (each.kind === 'env') environment[each.name] = each.value;
  for (const { configMapRef } of container.envFrom ?? []) {
    Object.assign(environment, one(manifests, 'ConfigMap', configMapRef.name).data);
  }
  const schemes: Record<string, string> = {
    DATABASE_URL: 'postgres://',
    REDIS_URL: 'redis://',
    MONGODB_URI: 'mongodb://',
  };
  for (const { name, value, valueFrom } of container.env) {
    if (valueFrom?.fieldRef?.fieldPath === 'status.podIP') environment[name] = podIp;
    else if (valueFrom?.secretKeyRef?.optional === true) continue;
    else if (valueFrom?.secretKeyRef?.name === 'atlanticfrewaycard') {
      environment[name] = `${schemes[name] ?? ''}a-secret-that-is-long-enough-for-${name}`;
    } else if (/^\$\(\w+\)/.test(value)) {
      environment[name] = value.replace(/\$\((\w+)\)/g, (_: string, other: string) => environment[other]);
    } else throw new Error(`${name} is in the manifests`);
  }
  return environment;
}

t.test('the base is valid, and its processes start with what it gives them', async (t) => {
  const manifests = await valid(t, join(folder, 'base'));
  t.notOk(
    manifests.some(({ kind }) => kind === 'Secret'),
    'no secret is in the repository',
  );
  const containers = podsOf(manifests).map(({ spec }) => spec.containers[0]);
  t.equal(containers.length, 3);
  for (const container of containers) {
    const environment = environmentOf(manifests, container);
    for (const variable of Object.keys(environment).filter((name) => !/^(NODE_ENV|POD_IP)$/.test(name))) {
      t.ok(documented.includes(`### \`${variable}\``), `${container.name}: ${variable} is a variable`);
    }
    if (container.name === 'engine') {
      const { journal, partitionCount, threads, peer } = readEngineConfig(environment);
      t.match({ journal, partitionCount, threads }, { journal: 'postgres', partitionCount: 12, threads: 2 });
      t.same(peer, { port: 8082, address: `${podIp}:8082`, keys: [environment['PEER_KEY']] });
    }
    if (container.name === 'api') t.ok(readApiConfig(environment).trustedProxies);
  }
});

t.test('ports, probes, selectors and policies fit together', async (t) => {
  const manifests = await valid(t, join(folder, 'base'));
  const pods = podsOf(manifests);
  const exposed = dockerfile.at(-1)!.instructions.flatMap((each) => (each.kind === 'expose' ? each.ports : []));
  for (const { spec } of pods) {
    const [container] = spec.containers;
    const names = (container.ports ?? []).map(({ name }: { name: string }) => name);
    for (const { containerPort } of container.ports ?? []) t.ok(exposed.includes(containerPort), `${containerPort}`);
    t.match(spec.securityContext, { runAsNonRoot: true, runAsUser: 1000 });
    t.match(container.securityContext, { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false });
    t.ok(container.resources.requests.cpu && container.resources.requests.memory && container.resources.limits.memory);
    if (container.name === 'migrate') continue;
    for (const [probe, path] of [
      ['startupProbe', '/livez'],
      ['readinessProbe', '/readyz'],
      ['livenessProbe', '/livez'],
    ] as const) {
      t.equal(container[probe].httpGet.path, path, `${container.name}: ${probe}`);
      t.ok(names.includes(container[probe].httpGet.port), `${container.name}: ${probe}`);
    }
    const [, seconds] = container.lifecycle.preStop.exec.command;
    t.ok(spec.terminationGracePeriodSeconds > Number(seconds) + 20, 'time to answer and to settle after preStop');
  }
  for (const service of manifests.filter(({ kind }) => kind === 'Service')) {
    const pod = pods.find((each) => hasLabels(each, service.spec.selector));
    const names = pod.spec.containers[0].ports.map(({ name }: { name: string }) => name);
    for (const { targetPort } of service.spec.ports) t.ok(names.includes(targetPort), service.metadata.name);
  }
  for (const kind of ['PodDisruptionBudget', 'NetworkPolicy']) {
    for (const { spec, metadata } of manifests.filter((each) => each.kind === kind)) {
      const labels = (spec.selector ?? spec.podSelector).matchLabels;
      t.ok(
        pods.some((pod) => hasLabels(pod, labels)),
        `${kind} ${metadata.name} chooses pods`,
      );
    }
  }
  const all = one(manifests, 'NetworkPolicy', 'none').spec.podSelector.matchLabels;
  t.ok(
    pods.every((pod) => hasLabels(pod, all)),
    'no pod is open',
  );
  const engineUrl = new URL(one(manifests, 'ConfigMap', 'api').data.ENGINE_URL);
  const ops = one(manifests, 'Service', engineUrl.hostname);
  t.equal(String(ops.spec.ports[0].port), engineUrl.port, 'the API finds the ops port');
});

t.test('engines reach each other on the peer port, and no other pod reaches it', async (t) => {
  const manifests = await valid(t, join(folder, 'base'));
  const [container] = one(manifests, 'Deployment', 'engine').spec.template.spec.containers;
  const { containerPort } = container.ports.find(({ name }: { name: string }) => name === 'peer');
  t.equal(String(containerPort), environmentOf(manifests, container)['PEER_PORT']);
  const engines = [{ podSelector: { matchLabels: { 'app.kubernetes.io/name': 'engine' } } }];
  const peerRules = manifests
    .filter(({ kind }) => kind === 'NetworkPolicy')
    .flatMap(({ metadata, spec }) =>
      [...(spec.ingress ?? []), ...(spec.egress ?? [])].map((rule) => ({ policy: metadata.name, ...rule })),
    )
    .filter(({ ports }) => ports.some(({ port }: { port: string | number }) => /^(peer|8082)$/.test(String(port))));
  t.same(peerRules, [
    { policy: 'engine', from: engines, ports: [{ port: 'peer' }] },
    { policy: 'engine', to: engines, ports: [{ port: 'peer' }] },
  ]);
});

t.test('one engine at a time leaves, with room for the copies of all partitions', async (t) => {
  const manifests = await valid(t, join(folder, 'base'));
  const { spec } = one(manifests, 'Deployment', 'engine');
  t.match(spec.strategy.rollingUpdate, { maxUnavailable: 0, maxSurge: 1 });
  // preStop, handover, release of the rest, the longest DEADLINE_MS with its second, settling.
  t.ok(spec.template.spec.terminationGracePeriodSeconds > 5 + 10 + 15 + 4 + 5);
  t.equal(one(manifests, 'PodDisruptionBudget', 'engine').spec.maxUnavailable, 1);
  t.equal(spec.template.spec.topologySpreadConstraints.length, 2);
  const [container] = spec.template.spec.containers;
  const { partitionCount, journalSizes } = readEngineConfig(environmentOf(manifests, container));
  const { name } = container.volumeMounts.find(({ mountPath }: { mountPath: string }) => mountPath === '/tmp');
  const volume = spec.template.spec.volumes.find((each: { name: string }) => each.name === name);
  const gibibytes = Number(/^(\d+)Gi$/.exec(volume.emptyDir.sizeLimit)?.[1]);
  // A segment beyond the bound may be made by the shipper while the journal's own thread makes one.
  const most = partitionCount * (journalSizes.segmentsMax + 1) * journalSizes.segmentBytes;
  t.ok(gibibytes * 2 ** 30 >= most, 'an engine that is behind refuses messages before its pod is evicted');
});

t.test('the autoscalers are as wanted', async (t) => {
  const manifests = await valid(t, join(folder, 'base'));
  for (const name of ['api', 'engine']) {
    const { scaleTargetRef, ...spec } = one(manifests, 'HorizontalPodAutoscaler', name).spec;
    t.match(spec, wantedScale);
    t.same(scaleTargetRef, { apiVersion: 'apps/v1', kind: 'Deployment', name });
    t.equal(one(manifests, 'Deployment', name).spec.replicas, undefined, 'an apply does not undo the autoscaler');
  }
});

const wantedScale = {
  minReplicas: 3,
  maxReplicas: 10,
  metrics: [
    { resource: { name: 'cpu', target: { averageUtilization: 70 } } },
    { resource: { name: 'memory', target: { averageUtilization: 80 } } },
  ],
};

t.test('the example is valid, with an image, a namespace and an ingress that leads to services', async (t) => {
  const manifests = await valid(t, join(folder, 'example'));
  for (const { spec } of podsOf(manifests)) t.match(spec.containers[0].image, /^registry\.example\.com\/.*:/);
  for (const each of manifests.filter(({ kind }) => kind !== 'Namespace')) t.equal(each.metadata.namespace, 'cards');
  for (const { spec } of manifests.filter(({ kind }) => kind === 'Ingress')) {
    const { service } = spec.rules[0].http.paths[0].backend;
    const ports = one(manifests, 'Service', service.name).spec.ports;
    t.ok(
      ports.some(({ name }: { name: string }) => name === service.port.name),
      service.name,
    );
  }
});

t.test('one engine has its journal on a disk, and is not scaled', async (t) => {
  const overlay = await place(t);
  const path = (name: string) => relative(overlay, join(folder, name));
  await writeFile(
    join(overlay, 'kustomization.yaml'),
    `resources: [${path('base')}]\ncomponents: [${path('one-engine')}]\n`,
  );
  const manifests = await valid(t, overlay);
  t.equal(one(manifests, 'HorizontalPodAutoscaler', 'engine'), undefined);
  t.equal(one(manifests, 'Deployment', 'engine'), undefined);
  const { spec } = one(manifests, 'StatefulSet', 'engine');
  t.equal(spec.replicas, 1);
  t.equal(one(manifests, 'Service', 'engine-ops').spec.publishNotReadyAddresses, true, 'there is no other to ask');
  const claims = [
    ...spec.volumeClaimTemplates.map(({ metadata }: Manifest) => metadata),
    ...spec.template.spec.volumes,
  ];
  const [container] = spec.template.spec.containers;
  for (const { name } of container.volumeMounts) t.ok(claims.map((claim: Manifest) => claim.name).includes(name), name);
  const environment = environmentOf(manifests, container);
  const { journal, partitionCount } = readEngineConfig(environment);
  t.match({ journal, partitionCount }, { journal: 'local', partitionCount: 1 });
  t.ok(container.volumeMounts.some(({ mountPath }: Manifest) => mountPath === environment['DATA_DIR']));
});
