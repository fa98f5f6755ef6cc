import { dirname } from 'node:path';

/** Absolute path of the repository. */
export const root = dirname(import.meta.dirname);
/** The workspace's own Node: child programs run on it whatever Node the machine has. */
export const node = `${root}/node_modules/.bin/node`;
