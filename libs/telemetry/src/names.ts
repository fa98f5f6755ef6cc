/** Every span's name and every attribute's key, declared once; those of OpenTelemetry's semantic conventions where there is one. */
export const spans = {
  /** A service decides an intent: `intent network.apply`. */
  intent: (name: string): string => `intent ${name}`,
  /** A service goes on with an intent whose child has an outcome: `continue endpoint.apply`. */
  proceed: (name: string): string => `continue ${name}`,
  /** A service reacts to another's change: `react environment`. */
  react: (kind: string): string => `react ${kind}`,
  /** A changed document becomes state, and gets its revision: `publish policy`. */
  publish: (kind: string): string => `publish ${kind}`,
  /** The api turns a request into an intent: `PUT network`. */
  request: (method: string, noun: string): string => `${method} ${noun}`,
  /** A node agent, for each change that it puts into its kernel. */
  compile: 'compile',
  kernelWrite: 'kernel write',
  readBack: 'read back',
} as const;

export const attributes = {
  intentId: 'osier.intent.id',
  intentName: 'osier.intent.name',
  credential: 'osier.credential',
  domain: 'osier.domain',
  project: 'osier.project',
  environment: 'osier.environment',
  node: 'osier.node',
  revision: 'osier.revision',
  result: 'osier.result',
  problemCode: 'osier.problem.code',
  subject: 'messaging.destination.name',
  system: 'messaging.system',
} as const;
