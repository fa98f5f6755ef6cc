// Services of this test, as processes: each does what it is asked for, but for an object whose description says how to take the whole process with it.
//   tenant     at the intent itself
//   topology   when the child of an endpoint, a lease, has its outcome; or, where none comes, when the time for it is over
//   ipam       answers
// usage: service.ts tenant|topology|ipam
import { accept, type Decision } from '@osier/domain/decision';
import type { Handlers, ServiceDefinition } from '@osier/domain/service';
import type { AnyDefinition } from '@osier/runtime/service';
import { runService } from '@osier/runtime/run';

const never = async (): Promise<Decision> => { throw new Error('not in this test'); };
/** Does not return where it ends the process. */
async function suffer(how: string | undefined): Promise<void> {
  if (how === 'abort') process.abort();
  if (how === 'kill') process.kill(process.pid, 'SIGKILL');
  if (how === 'exit') process.exit(7);
  if (how === 'later') setImmediate(() => { throw new Error('nobody catches this'); });
  if (how === 'abort' || how === 'kill' || how === 'exit' || how === 'later') await new Promise(() => undefined);
}

const tenant: ServiceDefinition<'tenant'> = {
  name: 'tenant', knows: [],
  handlers: {
    'domain.apply': async ({ body }, context) => {
      await suffer(body.spec.description);
      return accept({ kind: 'domain', id: context.newId(), name: body.name, parent: '_', phase: 'active', domain: body.name, project: '_', environment: '_', spec: body.spec, status: {} });
    },
    'domain.delete': never, 'project.apply': never, 'project.delete': never, 'environment.apply': never, 'environment.delete': never,
    'credential.apply': never, 'credential.delete': never, 'platform-credential.apply': never, 'platform-credential.delete': never,
  } satisfies Handlers<'tenant'>,
};

const subject = '01997f5e-5b3c-7cc0-8000-000000000001';
const topology: ServiceDefinition<'topology'> = {
  name: 'topology', knows: [],
  handlers: {
    'node.apply': never, 'node.delete': never, 'network.apply': never, 'network.delete': never, 'endpoint.delete': never,
    'endpoint.apply': async (intent) => ({
      result: 'waiting', awaits: `${intent.id}-lease`, deadlineMs: 500, note: {},
      intents: intent.body.name.startsWith('late') ? [] : [{ id: `${intent.id}-lease`, name: 'lease.reserve', scope: intent.scope, body: { network: subject, endpoint: subject } }],
    }),
  } satisfies Handlers<'topology'>,
  onOutcome: async ({ intent }, outcome, context) => {
    const { name, spec } = intent.body as { name: string; spec: { tags?: { end?: string } } };
    await suffer(spec.tags?.end);
    const status = { address: outcome === undefined ? '10.0.0.1' : '10.0.0.2', mac: '02:00:00:00:00:01', lease: subject };
    return accept({ kind: 'endpoint', id: context.newId(), name, parent: '_', phase: 'active', ...intent.scope, spec, status } as never);
  },
};
const ipam: ServiceDefinition<'ipam'> = {
  name: 'ipam', knows: [],
  handlers: {
    'lease.release': never,
    'lease.reserve': async (intent, context) =>
      accept({ kind: 'lease', id: context.newId(), name: '10.0.0.2', parent: '_', phase: 'active', ...intent.scope, spec: intent.body, status: { address: '10.0.0.2', mac: '02:00:00:00:00:01' } }),
  } satisfies Handlers<'ipam'>,
};
await runService({ tenant, topology, ipam }[process.argv[2] ?? ''] as AnyDefinition);
