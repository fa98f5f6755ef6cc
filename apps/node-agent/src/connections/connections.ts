import { setImmediate as breath } from 'node:timers/promises';
import type { Bus } from '@osier/bus/bus';
import { limits } from '@osier/contracts/limits';
import { none } from '@osier/contracts/names';
import { askConnectionsSubject, connectionsSubject } from '@osier/contracts/subjects';
import { type ConnectionsPart, type ConnectionsQuestion, connectionsQuestionSchema } from '@osier/contracts/telemetry';
import type { Kernel } from '@osier/dataplane/kernel';
import type { Log } from '@osier/telemetry/log';
import { bootTimeOf } from '../boot-time.ts';
import type { Directory } from '../flows/resolve.ts';
import { connectionOf, isLive } from './live.ts';

/**
 *   question ─► waits for its turn ─► conntrack, batch by batch, of the environments that are asked about ─► parts ─► whoever asked
 *                 too many, too late: no answer                 a breath after each
 */
export interface ConnectionsOptions {
  readonly kernel: Pick<Kernel, 'connections' | 'config'>;
  readonly bus: Pick<Bus, 'tell' | 'listen'>;
  readonly node: string;
  readonly log: Log;
  readonly now: () => number;
  readonly directory: Directory;
  /** Whether it is known yet what the kernel's numbers stand for: before that "none" would be untrue. */
  readonly ready: () => boolean;
}

const encode = (part: ConnectionsPart): Uint8Array => new TextEncoder().encode(JSON.stringify(part));

export async function startConnections(o: ConnectionsOptions): Promise<{ stop(): Promise<void> }> {
  const { kernel, bus, node, log, directory } = o;
  const waiting: { readonly question: ConnectionsQuestion; readonly until: number }[] = [];
  let working: Promise<void> | undefined;
  let stopped = false;

  const answer = async (question: ConnectionsQuestion): Promise<void> => {
    const environments = new Map<number, boolean>();
    const wanted = (rd: number): boolean => {
      const known = environments.get(rd) ?? isAsked(question, directory.environment(rd));
      environments.set(rd, known);
      return known;
    };
    const bootTime = bootTimeOf(o.now());
    const config = kernel.config();
    const parts = partsOf(question, node, (part) => bus.tell(connectionsSubject(node), encode(part)));
    for (const batch of kernel.connections(wanted)) {
      const now = BigInt(Math.round((o.now() - bootTime) * 1e6));
      for (const [key, entry] of batch) {
        if (!isLive(key, entry, config, now)) continue;
        const connection = parts.isFull ? undefined : connectionOf(key, entry, directory, bootTime);
        if (connection !== undefined) await parts.add(connection);
        // The node of its destination has it as well, and leaves the counting to this one.
        else if (entry.sourceIfindex !== 0) parts.leaveOut();
      }
      await breath();
      if (stopped) return;
    }
    await parts.end();
  };
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined && !stopped; next = waiting.shift()) {
      // Whoever asked has gone by now.
      if (o.now() > next.until) continue;
      await answer(next.question).catch((error: Error) => stopped || log.warn({ error: error.message }, 'a question about connections could not be answered'));
    }
  };
  const hear = ({ data }: { data: Uint8Array }): void => {
    const question = connectionsQuestionSchema.safeParse(json(data)).data;
    if (question === undefined || !o.ready() || waiting.length >= limits.connectionsWaiting) return;
    waiting.push({ question, until: o.now() + limits.connectionsAnswerMs });
    working ??= work().finally(() => (working = undefined));
  };
  const ear = await bus.listen(askConnectionsSubject(node), hear, { onProblem: (problem) => log.warn({ error: problem.message }, 'questions about connections are not heard yet') });
  return {
    async stop() {
      stopped = true;
      await ear.stop();
      await working;
    },
  };
}

/** `path`: `acme/shop/staging`. */
function isAsked(question: ConnectionsQuestion, path: string | undefined): boolean {
  const [domain, project, environment] = path?.split('/') ?? [];
  return path !== undefined && ([[question.domain, domain], [question.project, project], [question.environment, environment]] as const).every(([asked, has]) => asked === none || asked === has);
}

/** Messages below what the bus takes, and no more connections than were asked for. */
function partsOf({ id, most }: ConnectionsQuestion, node: string, tell: (part: ConnectionsPart) => Promise<void>) {
  let connections: ConnectionsPart['connections'] = [];
  let [part, bytes, told, notTold] = [0, 0, 0, 0];
  const send = async (last: boolean): Promise<void> => {
    await tell({ id, node, part: part++, last, connections, notTold: last ? notTold : 0 });
    [connections, bytes] = [[], 0];
  };
  return {
    get isFull() {
      return told >= Math.min(most, limits.connectionsPerAnswer);
    },
    async add(connection: ConnectionsPart['connections'][number]): Promise<void> {
      const size = Buffer.byteLength(JSON.stringify(connection));
      if (connections.length > 0 && bytes + size > limits.connectionsPartBytes) await send(false);
      connections.push(connection);
      bytes += size + 1;
      told++;
    },
    leaveOut: () => void notTold++,
    end: () => send(true),
  };
}

function json(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(data));
  } catch {
    return undefined;
  }
}
