/** The checkout's root, for the deployment tools; the schema needs it too and may not import from here. */
export { repositoryRoot } from '../sql/repository-root.js';
