/**
 * `make sbom`: the bill of materials of what a deployment runs, as CycloneDX 1.6, from package-lock.json alone: no
 * network, and the same file gives the same bytes. Development dependencies are left out.
 */

/** An entry of a lock file of version 3; its key is the folder, '' for the project itself. */
export interface LockedPackage {
  readonly name?: string;
  readonly version?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

export interface LockFile {
  readonly name: string;
  readonly version: string;
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

interface Component {
  readonly type: 'library' | 'application';
  readonly 'bom-ref': string;
  readonly name: string;
  readonly version: string;
  readonly scope?: 'required' | 'optional';
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses?: readonly { readonly expression: string }[];
  readonly purl: string;
}

export interface Bom {
  readonly bomFormat: 'CycloneDX';
  readonly specVersion: '1.6';
  readonly version: 1;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

const folderPrefix = 'node_modules/';

export function bomOf(lock: LockFile): Bom {
  const { packages } = lock;
  const used = Object.entries(packages).filter(([folder, entry]) => isUsed(folder, entry));
  // A package that is installed in several folders is one component.
  const components = new Map<string, Component>();
  const dependsOn = new Map<string, Set<string>>();
  const root = rootOf(lock);
  for (const [folder, entry] of [['', packages['']!] as const, ...used]) {
    const component = folder === '' ? root : componentOf(folder, entry);
    if (folder !== '' && !components.has(component.purl)) components.set(component.purl, component);
    const needed = dependsOn.get(component.purl) ?? new Set<string>();
    dependsOn.set(component.purl, needed);
    for (const name of namesOf(entry)) {
      const found = findFrom(packages, folder, name);
      if (found !== null && isUsed(found, packages[found]!)) needed.add(componentOf(found, packages[found]!).purl);
    }
  }
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: root },
    components: [...components.values()].sort((a, b) => (a.purl < b.purl ? -1 : 1)),
    dependencies: [...dependsOn]
      .map(([ref, needed]) => ({ ref, dependsOn: [...needed].sort() }))
      .sort((a, b) => (a.ref < b.ref ? -1 : 1)),
  };
}

/** Installed from a registry, for more than development. */
export function isUsed(folder: string, { dev, version }: LockedPackage): boolean {
  return folder.includes(folderPrefix) && dev !== true && version !== undefined;
}

function rootOf({ name, version, packages }: LockFile): Component {
  const purl = purlOf(name, version);
  const { license } = packages['']!;
  return {
    type: 'application',
    'bom-ref': purl,
    name,
    version,
    ...(license === undefined ? {} : { licenses: [{ expression: license }] }),
    purl,
  };
}

function componentOf(folder: string, entry: LockedPackage): Component {
  // Under an alias the folder has another name than the package.
  const name = entry.name ?? folder.slice(folder.lastIndexOf(folderPrefix) + folderPrefix.length);
  const { version = '', integrity, license, optional } = entry;
  const purl = purlOf(name, version);
  const [algorithm, digest] = integrity?.split('-') ?? [];
  return {
    type: 'library',
    'bom-ref': purl,
    name,
    version,
    scope: optional === true ? 'optional' : 'required',
    ...(algorithm !== 'sha512' || digest === undefined
      ? {}
      : { hashes: [{ alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex') }] }),
    ...(license === undefined ? {} : { licenses: [{ expression: license }] }),
    purl,
  };
}

function purlOf(name: string, version: string): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`;
}

function namesOf({ dependencies, optionalDependencies, peerDependencies }: LockedPackage): string[] {
  return Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies });
}

/** Where Node.js finds a package that is asked for in `folder`; null: an optional one that no system here needs. */
function findFrom(packages: LockFile['packages'], folder: string, name: string): string | null {
  for (let at = folder; ; ) {
    const candidate = at === '' ? folderPrefix + name : `${at}/${folderPrefix}${name}`;
    if (packages[candidate] !== undefined) return candidate;
    if (at === '') return null;
    const cut = at.lastIndexOf(`/${folderPrefix}`);
    at = cut < 0 ? '' : at.slice(0, cut);
  }
}
