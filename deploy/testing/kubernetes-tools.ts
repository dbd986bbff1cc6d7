/**
 * Tools that check manifests, for tests: kustomize (that of kubectl, one on PATH, or built with Go) and
 * kubernetes-validate (from PyPI, with the schemas of Kubernetes in it). Kept in .build-kubernetes. Without them tests
 * fail, they are never skipped.
 */
import { execFile } from 'node:child_process';
import { access, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onPath } from '../../platform/process/on-path.js';
import { withLockFile } from '../lock-file.js';
import { repositoryRoot } from '../repository-root.js';

const run = promisify(execFile);
const place = join(repositoryRoot(), '.build-kubernetes');
const waitMs = 10 * 60_000;
const validateVersion = '1.37.0';
const kustomizeVersion = 'v5.5.0';

/** Fetches or builds what is missing: that takes longer than a test may. */
export async function prepareKubernetesTools(): Promise<void> {
  await findKustomize();
  await findValidator();
}

/** The manifests of a folder, as `kubectl apply -k` would send them. */
export async function kustomized(folder: string): Promise<string> {
  const [program = '', ...args] = await findKustomize();
  return (await run(program, [...args, folder], { maxBuffer: 2 ** 24 })).stdout;
}

/** Rejects with what is wrong in a file of manifests: also for a field that Kubernetes does not know. */
export async function validateManifests(file: string): Promise<string> {
  const env = { ...process.env, PYTHONPATH: await findValidator() };
  return (await run('python3', ['-m', 'kubernetes_validate', '--strict', file], { env })).stdout;
}

/** The folder of the Python packages. */
function findValidator(): Promise<string> {
  return made(`kubernetes-validate-${validateVersion}`, 'install Python 3 with pip', async (folder) => {
    const wanted = `kubernetes-validate==${validateVersion}`;
    await run('python3', ['-m', 'pip', 'install', '-q', '--target', folder, wanted], { timeout: waitMs });
  });
}

/** A command line, to which a folder is added. */
async function findKustomize(): Promise<string[]> {
  const kubectl = await onPath('kubectl');
  if (kubectl !== null) return [kubectl, 'kustomize'];
  const found = await onPath('kustomize');
  if (found !== null) return [found, 'build'];
  const folder = await made(`kustomize-${kustomizeVersion}`, 'install kubectl, kustomize or Go', async (into) => {
    const env = { ...process.env, GOBIN: into };
    const wanted = `sigs.k8s.io/kustomize/kustomize/v5@${kustomizeVersion}`;
    await run('go', ['install', wanted], { env, timeout: waitMs });
  });
  return [join(folder, 'kustomize'), 'build'];
}

/** A folder that `make` fills once for all test processes. */
async function made(name: string, remedy: string, make: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(place, name);
  await mkdir(place, { recursive: true });
  return withLockFile(join(place, 'lock'), waitMs, async () => {
    const isThere = await access(folder).then(
      () => true,
      () => false,
    );
    if (isThere) return folder;
    const partial = `${folder}.partial`;
    await rm(partial, { recursive: true, force: true });
    await make(partial).catch((error: Error) => {
      throw new Error(`tests of the manifests: ${remedy} (${error.message})`);
    });
    await rename(partial, folder);
    return folder;
  });
}
