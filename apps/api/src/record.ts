import { auditSubject, type DoorRecord } from '@osier/contracts/audit';
import { intentDeclaration } from '@osier/contracts/catalogue';
import { none } from '@osier/contracts/names';
import { refusal } from './answers.ts';
import type { ApiContext } from './context.ts';
import type { Principal } from './principal.ts';
import type { Route } from './routes.ts';

/** Milliseconds that an answer waits for its record. */
const patience = 1_000;

const shown = (token: string | undefined): string => (token ?? none).slice(0, 63);

/** What a request would have become. */
function intentOf(route: Route | undefined, params: Readonly<Record<string, string>>): string {
  const action = route?.action;
  if (action === undefined) return 'unknown';
  if (action.type === 'apply' || action.type === 'delete') return `${action.kind}.${action.type}`;
  if (action.type === 'retry' || action.type === 'drop') return `dead-letter.${action.type}`;
  if (action.type === 'backup' || action.type === 'startRestore') return action.type === 'backup' ? 'installation.backup' : 'installation.restore';
  if (action.type !== 'intent') return `${'kind' in action ? action.kind : 'request'}.${action.type}`;
  const name = `${params['noun'] ?? ''}.${params['verb'] ?? ''}`;
  return intentDeclaration(name) === undefined ? 'unknown' : name;
}

export type Asked = Pick<DoorRecord, 'traceparent'> & { readonly who: Principal | undefined; readonly route: Route | undefined; readonly params: Readonly<Record<string, string>>; readonly method: string; readonly path: string };

export function doorRecord(asked: Asked, end: Pick<DoorRecord, 'status' | 'result' | 'problem'>): DoorRecord {
  const { route, params, method, path, who, traceparent } = asked;
  return {
    at: new Date().toISOString(), credential: who?.token ?? none, ...(who === undefined || who.domain === none ? {} : { home: who.domain }), intent: intentOf(route, params),
    domain: shown(params['domain']), project: shown(params['project']), environment: shown(params['environment']),
    // Without what follows "?", where some clients put what is secret.
    request: `${method} ${(path.split('?')[0] ?? '').slice(0, 200)}`, ...end, ...(traceparent === undefined ? {} : { traceparent }),
  };
}

/** Whether a refusal is one to be recorded: of whoever wanted to change something, and of whoever may not ask at all. */
export const isRecorded = (method: string, route: Route | undefined, status: number): boolean =>
  status !== 429 && (status === 401 || status === 403 || (method !== 'GET' && method !== 'HEAD' && route?.action.type !== 'enforcement'));

const publish = (context: ApiContext, record: DoorRecord): Promise<unknown> =>
  context.bus.publish(auditSubject(record), new TextEncoder().encode(JSON.stringify(record)), { timeoutMs: patience });

/** For what is not to be done without a record of it. */
export async function insist(context: ApiContext, record: DoorRecord): Promise<void> {
  try {
    await publish(context, record);
  } catch (err) {
    context.log.warn({ err, audit: record }, 'not done: it could not be written down');
    throw refusal(503, 'not-recorded', '', 'It could not be written down who did this, so it was not done.', 'Repeat the request: nothing is carried out twice.');
  }
}

/** Stores it, or at least says it in the log. */
export async function remember(context: ApiContext, record: DoorRecord): Promise<void> {
  try {
    if (!context.bus.connected) throw new Error('the bus cannot be reached');
    await publish(context, record);
  } catch (err) {
    context.log.warn({ err, audit: record }, 'an audit record could not be stored; this line is all there is of it');
  }
}
