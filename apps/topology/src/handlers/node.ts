import { platformScope } from '@osier/contracts/document';
import { deleted } from '@osier/domain/entity';
import type { Handler } from '@osier/domain/service';
import { decideNode } from '@osier/domain/topology/node';

export const applyNode: Handler<'node.apply'> = async ({ body }, { own, newId }) =>
  decideNode(body, { current: await own.byName('node', platformScope, body.name), others: await own.list('node') }, newId);

export const deleteNode: Handler<'node.delete'> = async ({ body }, { own }) => {
  const endpoints = (await own.list('endpoint')).filter((endpoint) => endpoint.spec.node === body.name);
  return deleted(body, await own.byName('node', platformScope, body.name), endpoints);
};
