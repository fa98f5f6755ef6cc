import { groupKinds } from '@osier/contracts/kinds';
import type { Handlers, ServiceDefinition } from '@osier/domain/service';
import { applyCredential, applyPlatformCredential, deleteCredential, deletePlatformCredential } from './handlers/credential.ts';
import { applyDomain, deleteDomain } from './handlers/domain.ts';
import { applyEnvironment, deleteEnvironment } from './handlers/environment.ts';
import { onState } from './handlers/node-gone.ts';
import { applyProject, deleteProject } from './handlers/project.ts';

export const handlers = {
  'domain.apply': applyDomain,
  'domain.delete': deleteDomain,
  'project.apply': applyProject,
  'project.delete': deleteProject,
  'environment.apply': applyEnvironment,
  'environment.delete': deleteEnvironment,
  'credential.apply': applyCredential,
  'credential.delete': deleteCredential,
  'platform-credential.apply': applyPlatformCredential,
  'platform-credential.delete': deletePlatformCredential,
} satisfies Handlers<'tenant'>;

/** Who may exist, and who may ask. It follows networks, policies and groups to know which scopes are in use, and nodes, whose credentials go with them. */
export const definition: ServiceDefinition<'tenant'> = { name: 'tenant', handlers, knows: ['network', 'policy', 'project-policy', 'domain-policy', ...groupKinds, 'node'], onState };
