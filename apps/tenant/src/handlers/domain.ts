import { applied, deleted } from '@osier/domain/entity';
import type { Handler } from '@osier/domain/service';

const scopeOf = (name: string) => ({ domain: name, project: '_', environment: '_' });

export const applyDomain: Handler<'domain.apply'> = async ({ scope, body }, { own, newId }) =>
  applied('domain', scope, body, await own.byName('domain', scopeOf(body.name), body.name), () => ({ id: newId(), status: {} }));

export const deleteDomain: Handler<'domain.delete'> = async ({ body }, { own, known, catchUp }) => {
  const current = await own.byName('domain', scopeOf(body.name), body.name);
  if (current) await catchUp();
  const { name: domain } = body;
  return deleted(body, current, [...(await own.list('project', { domain })), ...(await known.list('domain-policy', { domain })), ...(await own.list('credential', { domain }))]);
};
