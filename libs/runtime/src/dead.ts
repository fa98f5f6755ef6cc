import { type Bus, type Headers, type Message, NotStored, WrongLastSequence } from '@osier/bus/bus';
import { type DeadLetter, deadSubject } from '@osier/contracts/dead';
import { eventType, headers } from '@osier/contracts/envelope';
import type { Service } from '@osier/contracts/kinds';
import { limits } from '@osier/contracts/limits';
import type { Problem } from '@osier/contracts/problem';
import { intentSubject } from '@osier/contracts/subjects';
import type { Intent } from '@osier/domain/decision';
import type { Waiting } from '@osier/store/store';
import { traceHeaders } from '@osier/telemetry/trace';

type About = Pick<Intent, 'id' | 'scope' | 'credential'> & { readonly name: string };
type Published = Pick<Message, 'subject' | 'headers' | 'data' | 'sequence'>;

/** Why an intent is buried: what its author is told, what went wrong, and how often it was tried. */
export interface Death { readonly problem: Problem; readonly cause: string; readonly tries: number }

/**
 * Lays an intent into DEAD. To be called before its refusal is committed: whatever is interrupted, no refusal is without its dead letter.
 * May be repeated: the first one stays.
 */
export type Bury = (about: About, message: Published, death: Death) => Promise<void>;

/** Characters of all headers together that are kept; a tenant may send as many as fit into a message. */
const headersRoom = 16 * 1024;
const causeRoom = 1_000;

function headersOf(all: Headers): Pick<DeadLetter, 'headers' | 'headersLeftOut'> {
  const kept: Record<string, string> = {};
  let room = headersRoom;
  let headersLeftOut = 0;
  for (const [name, value] of Object.entries(all)) {
    if (name.length + value.length > room) headersLeftOut++;
    else {
      kept[name] = value;
      room -= name.length + value.length;
    }
  }
  return { headers: kept, headersLeftOut };
}

function bodyOf(data: Uint8Array): DeadLetter['body'] {
  if (data.byteLength > limits.intentBytes) return { encoding: 'left-out' };
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data);
    JSON.parse(text);
    return { encoding: 'json', text };
  } catch {
    return { encoding: 'base64', text: Buffer.from(data).toString('base64') };
  }
}

export function buryIn(bus: Bus, service: Service, now: () => number): Bury {
  return async (about, message, { problem, cause, tries }) => {
    const { domain, project, environment } = about.scope;
    const letter: DeadLetter = {
      intentId: about.id, intent: about.name, domain, project, environment, credential: about.credential,
      subject: message.subject, sequence: message.sequence, ...headersOf(message.headers), body: bodyOf(message.data), bytes: message.data.byteLength,
      problem, cause: cause.slice(0, causeRoom), service, tries, at: new Date(now()).toISOString(),
    };
    const subject = deadSubject(domain, project, about.id);
    const publish = () => bus.publish(subject, new TextEncoder().encode(JSON.stringify(letter)), {
      headers: { [headers.id]: about.id, [headers.source]: `osier/${service}`, [headers.type]: 'io.osier.dead-letter', [headers.specversion]: '1.0', ...traceHeaders() },
      expectedLastSubjectSequence: 0,
    });
    try {
      await publish().catch(async (error: unknown) => {
        if (!(error instanceof NotStored)) throw error;
        await bus.ensureStreams();
        await publish();
      });
    } catch (error) {
      if (!(error instanceof WrongLastSequence)) throw error;
    }
  };
}

/** An intent that waited for a child, as it would be published again: the service keeps what it means, not the message. */
export function messageOf({ intent, traceparent }: Pick<Waiting, 'intent' | 'traceparent'>): Published {
  const dot = intent.name.lastIndexOf('.');
  const [noun, verb] = [intent.name.slice(0, dot), intent.name.slice(dot + 1)];
  return {
    subject: intentSubject({ ...intent.scope, noun, verb, credential: intent.credential }), sequence: 0,
    headers: { [headers.id]: intent.id, [headers.type]: eventType(noun, verb), ...(traceparent === undefined ? {} : { [headers.traceparent]: traceparent }) },
    data: new TextEncoder().encode(JSON.stringify(intent.body)),
  };
}

export const causeOf = (error: unknown): string => (error instanceof Error ? `${error.name}: ${error.message}` : String(error));
