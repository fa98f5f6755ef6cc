import { newUserKey, type UserKey } from '@osier/bus/keys';
import type { Document } from '@osier/contracts/document';
import type { Role } from '@osier/contracts/roles';
import { documentSubject } from '@osier/contracts/subjects';
import type { Bus } from '@osier/bus/bus';

/** A credential's document for tests, with as little said as possible. */
export function credential(name: string, keys: readonly UserKey[], over: { id?: number; domain?: string; project?: string; role?: Role; node?: string; version?: number; phase?: 'active' | 'deleted'; expiresAt?: string } = {}): Document<'credential'> | Document<'platform-credential'> {
  const { domain = 'acme', project, node, role = 'viewer', version = 1, phase = 'active', expiresAt = '2999-01-01T00:00:00Z' } = over;
  const base = { id: `00000000-0000-0000-0000-${String(over.id ?? 1).padStart(12, '0')}`, name, parent: '_', domain, project: '_', environment: '_', version, phase, createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-01-01T00:00:00Z', intent: 'i', status: { revoked: [] } };
  const spec = { ...(project === undefined ? {} : { project }), ...(node === undefined ? { role } : { node }), keys: keys.map(({ publicKey }) => ({ publicKey, expiresAt })) };
  return { ...base, kind: domain === '_' ? 'platform-credential' : 'credential', spec } as unknown as Document<'credential'>;
}
export const publish = (bus: Bus, document: ReturnType<typeof credential>): Promise<unknown> => bus.publish(documentSubject(document), new TextEncoder().encode(JSON.stringify(document)));
export const key = newUserKey;
