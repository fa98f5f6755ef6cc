import { catalogue, intentName, type IntentDeclaration } from '@osier/contracts/catalogue';
import { helloTopic, interestSubject } from '@osier/contracts/coordination';
import { eventType } from '@osier/contracts/envelope';
import { kindNames, kinds, type Level } from '@osier/contracts/kinds';
import { queries, type QueryName } from '@osier/contracts/queries';
import { askConnectionsSubject, barrierSubject, connectionsSubject, flowSubject, intentSubject, observationSubject, outcomeSubject, querySubject, receiptSubject, stateSubject } from '@osier/contracts/subjects';
import { intentTitle, type Json, pascal, queryTitle, schemas } from './schemas.ts';

const ref = (path: string): Json => ({ $ref: `#/${path}` });

const parameters: Record<string, Json> = {
  domain: { description: 'Name of the domain' },
  project: { description: 'Name of the project; _ where none applies' },
  environment: { description: 'Name of the environment; _ where none applies' },
  credential: { description: 'Id of the credential that you log in with. No other may stand here' },
  intentId: { description: 'The ce-id of the intent' },
  node: { description: 'Name of the node' },
  id: { description: 'Id of the object' },
  parent: { description: "Id of its network for endpoints and leases; _ otherwise" },
};
const parametersOf = (address: string): Json =>
  Object.fromEntries([...address.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => [name, ref(`components/parameters/${name}`)]));

const levels = ['domain', 'project', 'environment'] as const;
const depth: Record<Level, number> = { platform: 0, domain: 1, project: 2, environment: 3 };
/** Variable tokens down to the level, `_` below it. */
const scopeAt = (level: Level) => {
  const token = (index: number): string => (index < depth[level] ? `{${levels[index]}}` : '_');
  return { domain: token(0), project: token(1), environment: token(2) };
};

interface Entry { readonly channels: Json; readonly operations: Json; readonly messages: Json }
const tags = (...names: string[]): Json[] => names.map((name) => ({ name }));

/** Who may publish an intent: a tenant's credential in its own domain, the operator of the platform (over the api), or services. */
const speaker = (intent: IntentDeclaration): string => (intent.internal ? 'service' : intent.level === 'platform' ? 'operator' : 'tenant');

function intentEntry(intent: IntentDeclaration): Entry {
  const title = intentTitle(intent);
  const address = intentSubject({ ...scopeAt(intent.level), noun: intent.noun, verb: intent.verb, credential: '{credential}' });
  return {
    channels: { [title]: { address, title: intentName(intent), description: intent.summary, parameters: parametersOf(address), messages: { [title]: ref(`components/messages/${title}`) } } },
    operations: {
      [`publish${title}`]: {
        action: 'send', summary: intent.summary, channel: ref(`channels/${title}`), messages: [ref(`channels/${title}/messages/${title}`)], tags: tags('intent', speaker(intent)),
        reply: { address: { description: 'The reply subject of the request, an inbox of the publisher', location: '$message.header#/reply' }, channel: ref('channels/Acknowledgement'), messages: [ref('channels/Acknowledgement/messages/Acknowledgement')] },
      },
    },
    messages: {
      [title]: {
        name: title, title: intent.summary, contentType: 'application/json', headers: ref('components/schemas/IntentHeaders'), payload: ref(`components/schemas/${title}`),
        examples: [{ headers: { 'ce-id': '01997f5e-5b3c-7cc0-8000-0000000000aa', 'ce-type': eventType(intent.noun, intent.verb) }, payload: intent.example }],
      },
    },
  };
}

function told(title: string, address: string, schema: string, summary: string, tag: string, description?: string): Entry {
  return {
    channels: { [title]: { address, description: summary, parameters: parametersOf(address), messages: { [title]: ref(`components/messages/${title}`) } } },
    operations: { [`receive${title}`]: { action: 'receive', summary, ...(description === undefined ? {} : { description }), channel: ref(`channels/${title}`), messages: [ref(`channels/${title}/messages/${title}`)], tags: tags(tag) } },
    messages: { [title]: { name: title, contentType: 'application/json', headers: ref('components/schemas/TraceHeaders'), payload: ref(`components/schemas/${schema}`) } },
  };
}

function queryEntry(name: QueryName): Entry {
  const title = queryTitle(name);
  const { service, summary } = queries[name];
  const address = querySubject(service, '{domain}', '{project}', name.slice(service.length + 1));
  const message = (part: 'Request' | 'Response'): Json => ({ [`${title}${part}`]: { name: `${title}${part}`, contentType: 'application/json', payload: ref(`components/schemas/${title}${part}`) } });
  return {
    channels: {
      [title]: { address, description: summary, parameters: parametersOf(address), messages: { request: ref(`components/messages/${title}Request`) } },
      [`${title}Reply`]: { address: null, messages: { response: ref(`components/messages/${title}Response`) } },
    },
    operations: {
      [`ask${title}`]: {
        action: 'send', summary, channel: ref(`channels/${title}`), messages: [ref(`channels/${title}/messages/request`)], tags: tags('query', 'service'),
        reply: { address: { location: '$message.header#/reply' }, channel: ref(`channels/${title}Reply`), messages: [ref(`channels/${title}Reply/messages/response`)] },
      },
    },
    messages: { ...message('Request'), ...message('Response') },
  };
}

const acknowledgement: Entry = {
  channels: { Acknowledgement: { address: null, description: 'The inbox that the publisher names as the reply subject', messages: { Acknowledgement: ref('components/messages/Acknowledgement') } } },
  operations: {},
  messages: { Acknowledgement: { name: 'Acknowledgement', contentType: 'application/json', payload: ref('components/schemas/Acknowledgement'), examples: [{ payload: { stream: 'INTENTS', seq: 42 } }] } },
};

const stateEntries = (): Entry[] => kindNames.map((kind) => {
  const { title, level } = kinds[kind];
  const self = kind === 'domain' || kind === 'project' || kind === 'environment' ? kind : level;
  const parent = kind === 'endpoint' || kind === 'lease' ? '{parent}' : '_';
  const address = stateSubject({ ...scopeAt(self as Level), noun: kind, parent, id: '{id}' });
  return told(`${pascal(kind)}State`, address, `${pascal(kind)}Document`, `The whole current document, or the tombstone: ${title.toLowerCase()}`, 'service');
});

const description = `How to speak to Osier over NATS, with any client.

**Log in** with the credentials file (\`.creds\`: a JWT, and the seed of the nkey that it is for) that \`osier credentials issue\` has written. Your account holds nothing but
what is named here as a tenant's, as far as your credential's scope and role go: it has no JetStream API.

**Publish** an intent as a request (a core NATS request, or a JetStream publish without a check of the API): subject as below with the id of your own
credential as the last token, header \`ce-id\` with an id that you choose, JSON as the body. The answer on your inbox is the acknowledgement: the intent is *stored*.
Without an answer, or with an error, publish the same id again: it is carried out once, however often it arrives. Do not rely on \`Nats-Msg-Id\`.

**Read the outcome**: subscribe to \`osier.outcome.<domain>.<project>.<ce-id>\` (or \`osier.outcome.<domain>.>\`) *before* you publish; the project is \`_\` for an intent whose
subject has \`_\` there. Every stored intent ends in exactly one outcome: \`accepted\` with the revision at which its changes are visible, or \`refused\` with a problem that names
the code, the reason, the field and the fix. Outcomes are not replayed to a later subscriber; over HTTP they can be asked for at any time.

A token matches \`[A-Za-z0-9_-]+\`; \`_\` stands for "does not apply".`;

/** The bus as an AsyncAPI 3.0 document, from the catalogue, the kinds, the subjects and the schemas of the contracts. */
export function asyncapi(): Json {
  const entries: Entry[] = [
    ...catalogue.map(intentEntry), acknowledgement,
    told('Outcome', outcomeSubject('{domain}', '{project}', '{intentId}'), 'Outcome', 'What became of an intent: exactly one for each', 'tenant'),
    told('Flows', flowSubject('{domain}', '{project}', '{node}'), 'FlowBatch', 'Flow records of a project, as a node saw them', 'tenant'),
    told('Receipt', receiptSubject('{node}'), 'Receipt', 'What a node has in its kernel, read back', 'service'),
    told('Observation', observationSubject('{node}', 'health'), 'Observation', 'What a node sees of itself; further topics: drift, repair, capacity, drops', 'service'),
    told('ConnectionsQuestion', askConnectionsSubject('{node}'), 'ConnectionsQuestion', 'The door asks a node which connections its kernel holds now; not stored', 'service'),
    told('ConnectionsPart', connectionsSubject('{node}'), 'ConnectionsPart', 'A part of its answer; not stored', 'service'),
    told('Hello', observationSubject('{node}', helloTopic), 'Hello', 'An agent that starts asks for all that concerns it', 'service'),
    told('Interest', interestSubject('{id}'), 'Interest', 'What a node is told of, and what it has to catch up with', 'service'),
    told('Barrier', barrierSubject, 'Barrier', 'Whoever has received it has received all that came before it', 'service'),
    ...stateEntries(), ...(Object.keys(queries) as QueryName[]).map(queryEntry),
  ];
  const merged = (part: keyof Entry): Json => Object.assign({}, ...entries.map((entry) => entry[part])) as Json;
  return {
    asyncapi: '3.0.0',
    id: 'urn:io:osier:bus',
    info: { title: 'Osier on the bus', version: '0.1.0', description, license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' } },
    defaultContentType: 'application/json',
    servers: {
      nats: {
        host: '{host}:4222', protocol: 'nats', description: 'The NATS server of the installation', security: [ref('components/securitySchemes/credential')],
        variables: { host: { default: '127.0.0.1', description: 'Where NATS listens' } },
      },
    },
    channels: merged('channels'),
    operations: merged('operations'),
    components: {
      securitySchemes: { credential: { type: 'asymmetricEncryption', description: 'A NATS user JWT with the nkey that it is for, as a .creds file holds them' } },
      parameters, messages: merged('messages'), schemas: schemas(),
    },
  };
}
