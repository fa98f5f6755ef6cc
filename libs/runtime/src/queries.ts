import type { Headers } from '@osier/bus/bus';
import type { AnyDocument, Scope } from '@osier/contracts/document';
import { none } from '@osier/contracts/names';
import { parse, type Problem, problem } from '@osier/contracts/problem';
import { queries, type QueryName } from '@osier/contracts/queries';
import { querySubject } from '@osier/contracts/subjects';
import { type Kind, kindsOf, type Service } from '@osier/contracts/kinds';
import type { At, CommittedReader } from '@osier/store/store';
import type { Log } from '@osier/telemetry/log';
import type { QueryAnswers } from './companion.ts';

export interface Responder {
  readonly pattern: string;
  readonly queue: string;
  readonly answer: (request: { subject: string; data: Uint8Array; headers: Headers }) => Promise<{ data: Uint8Array }>;
}

interface ListRequest { readonly kind: Kind; readonly environment?: string | undefined; readonly name?: string | undefined; readonly after?: string | undefined; readonly at?: At | undefined }
interface ListResponse { readonly items: readonly { readonly document: AnyDocument; readonly revision: number }[]; readonly next?: string }

/** Bytes and objects of one answer: below what a message on the bus may have, with room for what goes around it. The rest is for the next question. */
const answerBytes = 900_000;
const answerItems = 1_000;

/** `<service>.list`: what a service owns, within the domain and project of the subject it is asked on. */
export async function list(service: Service, read: CommittedReader, request: ListRequest, scope: Pick<Scope, 'domain' | 'project'>): Promise<ListResponse | Problem> {
  if (!kindsOf(service).includes(request.kind)) {
    return problem('wrong-service', 'kind', `${service} does not own ${request.kind}.`, 'Ask the service that owns it.');
  }
  const where = {
    domain: scope.domain === none ? undefined : scope.domain,
    project: scope.project === none ? undefined : scope.project,
    environment: request.environment,
    name: request.name,
  };
  const page = { after: request.after, limit: answerItems };
  const found = (await (request.at === undefined ? read.listed(request.kind, where, page) : read.listedAt(request.at, request.kind, where, page))) as unknown as ListResponse['items'];
  const items = fitting(found);
  const last = items.at(-1);
  const more = items.length < found.length || found.length === answerItems;
  return { items, ...(more && last ? { next: last.document.id } : {}) };
}

/** As many of the first as fit into one answer; one at least, which always fits, since no intent may be that large. */
function fitting(items: ListResponse['items']): ListResponse['items'] {
  let bytes = 0;
  const tooFar = items.findIndex((item, index) => (bytes += Buffer.byteLength(JSON.stringify(item)) + 1) > answerBytes && index > 0);
  return tooFar < 0 ? items : items.slice(0, tooFar);
}

const encode = (value: unknown) => ({ data: new TextEncoder().encode(JSON.stringify(value)) });
const failed = (found: Problem) => encode({ ok: false, problem: found });
const isProblem = (value: object): value is Problem => 'code' in value && 'fix' in value;

function readRequest(name: QueryName, data: Uint8Array) {
  try {
    return parse(queries[name].request, data.byteLength === 0 ? {} : JSON.parse(new TextDecoder().decode(data)));
  } catch {
    return { ok: false as const, problem: problem('not-json', '', 'The request is not JSON.', 'Send one JSON object.') };
  }
}

/**
 * The responders of a service: its list, and what else it answers. `answers` is asked at each call, since the companion comes up later. A service that is
 * `being-restored` answers nothing but what it is given.
 */
export function responders(service: Service, read: CommittedReader, answers: () => QueryAnswers | undefined, log: Log, state?: 'being-restored'): Responder[] {
  const names = (Object.keys(queries) as QueryName[]).filter((name) => queries[name].service === service);
  const respond = async (name: QueryName, request: unknown, scope: Pick<Scope, 'domain' | 'project'>): Promise<object> => {
    if (name === `${service}.list` && state === undefined) return list(service, read, request as ListRequest, scope);
    const answer = answers()?.[name] as ((request: unknown, scope: Pick<Scope, 'domain' | 'project'>) => Promise<object>) | undefined;
    if (answer) return answer(request, scope);
    if (state === 'being-restored') return problem('being-restored', '', `${service} is being restored from a backup and does nothing else until that is done.`, 'Run osier restore with the same file, again if it was interrupted.');
    return problem('not-ready', '', `${service} is still starting and cannot answer ${name}.`, 'Ask again in a moment.');
  };
  return names.map((name) => ({
    pattern: querySubject(service, '*', '*', name.slice(service.length + 1)),
    queue: service,
    answer: async ({ subject, data }) => {
      const [, , , domain = none, project = none] = subject.split('.');
      const request = readRequest(name, data);
      if (!request.ok) return failed(request.problem);
      try {
        const answer = await respond(name, request.value, { domain, project });
        return isProblem(answer) ? failed(answer) : encode({ ok: true, data: answer });
      } catch (error) {
        log.error({ err: error, query: name }, 'a query could not be answered');
        return failed(problem('internal-error', '', `${service} failed to answer ${name}.`, "Ask again; if it persists, look into the service's log."));
      }
    },
  }));
}
