import { nodeConsumers } from '@osier/bus/grants';
import type { Message } from '@osier/bus/bus';
import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { bytes, type Configuration, domainUser, intent, nodeUser, serviceUser, state, them, us, type World } from './world.ts';

/** What somebody tries, and how to see that it worked. `mutant`: the weaker configuration under which it must work. */
export interface Attack {
  readonly name: string;
  readonly mutant: Exclude<Configuration, 'generated'>;
  /** Does it, and returns a check that is true once it has got through. */
  readonly run: (w: World) => Promise<() => Promise<boolean>>;
}

const stored = (w: World, stream: string, subject: string) => async (): Promise<boolean> => (await w.services.last(stream, subject)) !== undefined;
const text = (message: { data: Uint8Array }): string => new TextDecoder().decode(message.data);

/** Whatever reaches `connection` on `subject` from now on. */
function listen(connection: NatsConnection, subject: string): Msg[] {
  const got: Msg[] = [];
  connection.subscribe(subject, { callback: (error, message) => void (error === null ? got.push(message) : undefined) });
  return got;
}
/** The server's answer, or undefined if there was none. */
const ask = (connection: NatsConnection, subject: string, body?: unknown): Promise<Msg | undefined> =>
  connection.request(subject, body === undefined ? undefined : JSON.stringify(body), { timeout: 400 }).catch(() => undefined);
const answered = (answer: Msg | undefined) => async (): Promise<boolean> => answer !== undefined && !('error' in answer.json<object>());

/** The first attack of the architecture: the answer to what I may say is written where I may not write. */
function chosenReply(who: 'tenant' | 'node', reply: string, stream: string, mutant: Attack['mutant'] = 'permissions'): Attack {
  return {
    name: `a ${who} names ${reply} as the reply subject of what it may publish`, mutant,
    run: async (w) => {
      const connection = w[who];
      connection.publish(who === 'tenant' ? intent(us.domain, us.credential) : `osier.receipt.${us.node}`, bytes('{}'), { reply });
      await connection.flush();
      return stored(w, stream, reply);
    },
  };
}

async function fetched(w: World): Promise<Msg> {
  const got = listen(w.node, '_INBOX.fetch');
  w.node.publish(`$JS.API.CONSUMER.MSG.NEXT.STATE.${nodeConsumers(us.node).state}`, JSON.stringify({ batch: 1 }), { reply: '_INBOX.fetch' });
  await w.services.publish(state(us.domain, 'mine'), bytes('{}'));
  for (const until = Date.now() + 5_000; got.length === 0 && Date.now() < until; ) await new Promise((resolve) => setTimeout(resolve, 10));
  const [first] = got;
  if (first === undefined) throw new Error('the node cannot fetch what is its own');
  return first;
}

const replies: Attack[] = [
  chosenReply('tenant', state(them.domain, 'forged'), 'CHANGES'),
  chosenReply('tenant', state(us.domain, 'forged'), 'CHANGES'),
  chosenReply('tenant', intent(them.domain, them.credential), 'INTENTS'),
  chosenReply('tenant', intent(us.domain, us.colleague), 'INTENTS'),
  chosenReply('tenant', intent(us.domain, 'osier-topology', 'lease', 'release'), 'INTENTS'),
  chosenReply('tenant', `osier.outcome.${them.domain}.shop.forged`, 'OUTCOMES'),
  chosenReply('tenant', `osier.outcome.${us.domain}.shop.forged`, 'OUTCOMES'),
  chosenReply('tenant', `osier.receipt.${them.node}`, 'RECEIPTS'),
  chosenReply('node', state(them.domain, 'forged'), 'CHANGES'),
  chosenReply('node', `osier.receipt.${them.node}`, 'RECEIPTS'),
  chosenReply('node', `osier.observation.${them.node}.hello`, 'OBSERVATIONS'),
  chosenReply('node', `osier.outcome.${them.domain}.shop.forged`, 'OUTCOMES'),
  chosenReply('node', intent(them.domain, them.credential), 'INTENTS'),
  {
    name: "a node has its own state delivered to whoever listens for another node's receipts", mutant: 'permissions',
    run: async (w) => {
      const service = await w.connect(serviceUser);
      const heard = listen(service, `osier.receipt.${them.node}`);
      await service.flush();
      w.node.publish(`$JS.API.CONSUMER.MSG.NEXT.STATE.${nodeConsumers(us.node).state}`, JSON.stringify({ batch: 10 }), { reply: `osier.receipt.${them.node}` });
      await w.node.flush();
      await w.services.publish(state(us.domain, 'mine'), bytes('{}'));
      return async () => heard.length > 0;
    },
  },
  {
    name: "a node has its acknowledgement written where another node answers what it is asked", mutant: 'permissions',
    run: async (w) => {
      const service = await w.connect(serviceUser);
      const heard = listen(service, `osier.connections.${them.node}`);
      await service.flush();
      w.node.publish(`osier.receipt.${us.node}`, bytes('{}'), { reply: `osier.connections.${them.node}` });
      await w.node.flush();
      return async () => heard.length > 0;
    },
  },
  {
    name: "a node has the answer to an acknowledgement written as another node's receipt", mutant: 'permissions',
    run: async (w) => {
      w.node.publish((await fetched(w)).reply ?? '', '+ACK', { reply: `osier.receipt.${them.node}` });
      await w.node.flush();
      return stored(w, 'RECEIPTS', `osier.receipt.${them.node}`);
    },
  },
  {
    name: "a tenant makes its acknowledgement a document in a colleague's eyes", mutant: 'permissions',
    run: async (w) => {
      const colleague = await w.connect(domainUser(us.domain, us.colleague));
      const seen = listen(colleague, `osier.outcome.${us.domain}.>`);
      await colleague.flush();
      w.tenant.publish(intent(us.domain, us.credential), bytes('{}'), { reply: `osier.outcome.${us.domain}.shop.1` });
      await w.tenant.flush();
      return async () => seen.length > 0;
    },
  },
];

const create = (consumer: string, filters: readonly string[], more: object = {}): object =>
  ({ stream_name: 'STATE', config: { name: consumer, filter_subjects: filters, ack_policy: 'none', deliver_policy: 'all', replay_policy: 'instant', ...more } });
/** The second attack of the architecture: a consumer of mine that sees what is not. */
function ownConsumer(who: 'tenant' | 'node', how: string, subject: string, body: object, mutant: Attack['mutant']): Attack {
  return { name: `a ${who} makes a consumer on STATE: ${how}`, mutant, run: async (w) => answered(await ask(w[who], subject, body)) };
}
const everything = [`osier.state.${us.domain}.>`, `osier.state.${them.domain}.>`];
const mine = nodeConsumers(us.node);
const consumers: Attack[] = [
  ownConsumer('node', 'under its own name, with several filters', `$JS.API.CONSUMER.CREATE.STATE.${mine.state}`, create(mine.state, everything, { ack_policy: 'all', durable_name: mine.state, deliver_policy: 'last_per_subject' }), 'permissions'),
  ownConsumer('node', 'under its join name, with several filters', `$JS.API.CONSUMER.CREATE.STATE.${mine.join}`, create(mine.join, everything), 'permissions'),
  ownConsumer('node', 'with one filter in the subject', `$JS.API.CONSUMER.CREATE.STATE.x.${everything[1]}`, create('x', [], { filter_subjects: undefined, filter_subject: everything[1] }), 'open'),
  ownConsumer('node', 'the old way, durable', '$JS.API.CONSUMER.DURABLE.CREATE.STATE.x', create('x', everything, { durable_name: 'x' }), 'open'),
  ownConsumer('node', 'the old way, ephemeral', '$JS.API.CONSUMER.CREATE.STATE', create('x', everything, { name: undefined }), 'open'),
  ownConsumer('node', 'that pushes', '$JS.API.CONSUMER.CREATE.STATE.x', create('x', everything, { deliver_subject: '_INBOX.pushed' }), 'open'),
  ownConsumer('tenant', 'with several filters', '$JS.API.CONSUMER.CREATE.STATE.x', create('x', everything), 'open'),
  {
    name: "a node makes itself a consumer that sees another tenant's documents, and fetches them", mutant: 'permissions',
    run: async (w) => {
      await ask(w.node, `$JS.API.CONSUMER.CREATE.STATE.${mine.join}`, create(mine.join, [everything[1] ?? '', 'osier.state._.>']));
      const got = listen(w.node, '_INBOX.fetch');
      w.node.publish(`$JS.API.CONSUMER.MSG.NEXT.STATE.${mine.join}`, JSON.stringify({ batch: 10, expires: 400_000_000 }), { reply: '_INBOX.fetch' });
      return async () => got.some((message) => text(message) === `of ${them.domain}`);
    },
  },
  {
    name: "a node fetches from another node's consumer", mutant: 'open',
    run: async (w) => {
      const got = listen(w.node, '_INBOX.fetch');
      w.node.publish(`$JS.API.CONSUMER.MSG.NEXT.STATE.${nodeConsumers(them.node).state}`, JSON.stringify({ batch: 10 }), { reply: '_INBOX.fetch' });
      return async () => got.some((message) => text(message) === `of ${them.domain}`);
    },
  },
];

const api = (who: 'tenant' | 'node', what: string, subject: string, body?: object): Attack => ({ name: `a ${who} ${what}`, mutant: 'open', run: async (w) => answered(await ask(w[who], subject, body)) });
const apis: Attack[] = (['tenant', 'node'] as const).flatMap((who) => [
  api(who, 'lists the streams', '$JS.API.STREAM.NAMES'),
  api(who, 'reads a stream by its subjects', '$JS.API.STREAM.INFO.STATE', { subjects_filter: '>' }),
  api(who, 'gets a message of a stream', '$JS.API.STREAM.MSG.GET.STATE', { last_by_subj: state(them.domain, 'secret') }),
  api(who, 'deletes a message', '$JS.API.STREAM.MSG.DELETE.CHANGES', { seq: 1 }),
  api(who, 'purges a stream', '$JS.API.STREAM.PURGE.STATE'),
  api(who, 'deletes a stream', '$JS.API.STREAM.DELETE.RECEIPTS'),
  api(who, 'makes a stream of its own', '$JS.API.STREAM.CREATE.MINE', { name: 'MINE', subjects: ['mine.>'] }),
  api(who, 'lists consumers', '$JS.API.CONSUMER.NAMES.STATE'),
  api(who, "reads another node's consumer", `$JS.API.CONSUMER.INFO.STATE.${nodeConsumers(them.node).state}`),
  api(who, "deletes another node's consumer", `$JS.API.CONSUMER.DELETE.STATE.${nodeConsumers(them.node).state}`),
]);

function says(who: 'tenant' | 'node', subject: string, stream: string): Attack {
  return {
    name: `a ${who} publishes ${subject}`, mutant: 'open',
    run: async (w) => {
      w[who].publish(subject, bytes('{}'));
      await w[who].flush();
      return stored(w, stream, subject);
    },
  };
}
/** What nothing stores, heard by whoever is meant to hear it. */
function tells(who: 'tenant' | 'node', subject: string, listener: string): Attack {
  return {
    name: `a ${who} says ${subject} to ${listener}`, mutant: 'open',
    run: async (w) => {
      const other = await w.connect(listener);
      const heard = listen(other, subject);
      await other.flush();
      w[who].publish(subject, bytes('{}'));
      await w[who].flush();
      return async () => heard.length > 0;
    },
  };
}
const statements: Attack[] = [
  says('tenant', intent(them.domain, them.credential), 'INTENTS'),
  says('tenant', intent(us.domain, us.colleague), 'INTENTS'),
  says('tenant', intent(us.domain, 'osier-topology', 'lease', 'release'), 'INTENTS'),
  says('tenant', intent(us.domain, us.credential, 'lease', 'release'), 'INTENTS'),
  says('tenant', `osier.intent._._._.node.apply.${us.credential}`, 'INTENTS'),
  says('tenant', state(us.domain, 'forged'), 'CHANGES'),
  says('tenant', `osier.outcome.${us.domain}.shop.forged`, 'OUTCOMES'),
  says('tenant', `osier.flow.${us.domain}.shop.${us.node}`, 'FLOWS'),
  says('node', `osier.receipt.${them.node}`, 'RECEIPTS'),
  says('node', `osier.flow.${them.domain}.shop.${them.node}`, 'FLOWS'),
  says('node', `osier.observation.${them.node}.hello`, 'OBSERVATIONS'),
  says('node', state(us.domain, 'forged'), 'CHANGES'),
  says('node', intent(us.domain, us.credential, 'policy'), 'INTENTS'),
  tells('node', `osier.connections.${them.node}`, serviceUser),
  tells('tenant', `osier.connections.${us.node}`, serviceUser),
  tells('node', `osier.ask.connections.${them.node}`, nodeUser(them.node)),
  tells('tenant', `osier.ask.connections.${us.node}`, nodeUser(us.node)),
];

/** `occasion` makes somebody else's message pass by. */
function overhears(who: 'tenant' | 'node', subject: string, occasion: (w: World) => Promise<unknown>, mutant: Attack['mutant'] = 'open'): Attack {
  return {
    name: `a ${who} listens to ${subject}`, mutant,
    run: async (w) => {
      const got = listen(w[who], subject);
      await w[who].flush();
      await occasion(w);
      return async () => got.length > 0;
    },
  };
}
const publishState = (w: World): Promise<unknown> => w.services.publish(state(them.domain, 'new'), bytes('{}'));
const question = async (w: World): Promise<unknown> => {
  const responder = await w.services.respond('osier.query.tenant.>', 'q', async () => ({ data: bytes('answer') }));
  const answer = await w.services.request(`osier.query.tenant.${them.domain}.shop.list`, bytes('question'));
  await responder.stop();
  return answer;
};
const ears: Attack[] = (['tenant', 'node'] as const).flatMap((who) => [
  overhears(who, '_INBOX.>', publishState, 'permissions'),
  overhears(who, 'osier.state.>', publishState),
  overhears(who, 'osier.intent.>', (w) => w.services.publish(intent(them.domain, 'api'), bytes('{}'))),
  overhears(who, `osier.outcome.${them.domain}.>`, (w) => w.services.publish(`osier.outcome.${them.domain}.shop.1`, bytes('{}'))),
  overhears(who, `osier.flow.${them.domain}.>`, (w) => w.services.publish(`osier.flow.${them.domain}.shop.n3`, bytes('{}'))),
  overhears(who, 'osier.receipt.>', (w) => w.services.publish('osier.receipt.n3', bytes('{}'))),
  overhears(who, 'osier.query.>', question),
  overhears(who, `osier.ask.connections.${them.node}`, (w) => w.services.tell(`osier.ask.connections.${them.node}`, bytes('{}'))),
  overhears(who, 'osier.ask.>', (w) => w.services.tell(`osier.ask.connections.${them.node}`, bytes('{}'))),
  overhears(who, 'osier.connections.>', (w) => w.services.tell(`osier.connections.${them.node}`, bytes('{}'))),
  overhears(who, '$JS.ACK.>', async (w) => {
    for await (const _message of readOwn(w)) break;
  }),
  overhears(who, '>', publishState),
]);
/** Somebody acknowledges something. */
async function* readOwn(w: World): AsyncGenerator<Message> {
  const seen: Message[] = [];
  const consumption = await w.services.consume({ stream: 'STATE', durable: 'overheard', declaration: { stream: 'STATE' }, onBatch: async (batch) => batch.forEach((d) => (seen.push(d), d.ack())) });
  while (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  await consumption.stop();
  yield* seen;
}

export const attacks: Readonly<Record<string, readonly Attack[]>> = {
  'a chosen reply subject': replies,
  'consumers of their own': consumers,
  'the JetStream API': apis,
  'speaking for others': statements,
  'listening to others': ears,
};
