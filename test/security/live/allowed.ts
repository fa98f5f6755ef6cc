import type { Person } from './people.ts';

// What is allowed, written down once more and by hand: were it taken from the code that grants it, it could never find that wrong.

const rank = ['viewer', 'editor', 'approver', 'admin'];
/** Noun → the least role that wishes it, and how much one must reach. */
const wished: Readonly<Record<string, readonly [role: string, reach: 'project' | 'domain' | 'platform']>> = {
  network: ['editor', 'project'], endpoint: ['editor', 'project'], policy: ['editor', 'project'],
  'endpoint-group': ['editor', 'project'], 'address-group': ['editor', 'project'], 'service-group': ['editor', 'project'],
  environment: ['admin', 'project'], 'project-policy': ['admin', 'project'],
  project: ['admin', 'domain'], credential: ['admin', 'domain'], 'domain-policy': ['admin', 'domain'],
  domain: ['admin', 'platform'], node: ['admin', 'platform'], 'platform-credential': ['admin', 'platform'], 'platform-policy': ['admin', 'platform'],
};
const reachOf = ({ domain, project }: Person): 'project' | 'domain' | 'platform' => (domain === '_' ? 'platform' : project === '_' ? 'domain' : 'project');
const wide = ['project', 'domain', 'platform'];

export const isWithin = (who: Person, domain: string | undefined, project: string | undefined): boolean =>
  who.node === undefined && (who.domain === '_' || (who.domain === domain && (who.project === '_' || who.project === project)));

export function mayWish(who: Person, noun: string, verb: string): boolean {
  const needed = wished[noun];
  if (needed === undefined || who.node !== undefined || !['apply', 'delete'].includes(verb)) return false;
  return rank.indexOf(who.role) >= rank.indexOf(needed[0]) && wide.indexOf(reachOf(who)) >= wide.indexOf(needed[1]);
}

const ofNode = (node: string, subject: string): boolean => {
  const t = subject.split('.');
  return subject === `osier.receipt.${node}` || subject === `osier.connections.${node}` || (subject.startsWith(`osier.observation.${node}.`)) || (t[0] === 'osier' && t[1] === 'flow' && t.length === 5 && t[4] === node)
    || ['node', 'join'].some((which) => subject === `$JS.API.CONSUMER.MSG.NEXT.STATE.${which}-${node}` || subject.startsWith(`$JS.ACK.STATE.${which}-${node}.`));
};

/** Whether what is said on `subject` reaches the services. */
export function maySay(who: Person, subject: string): boolean {
  if (who.node !== undefined) return ofNode(who.node, subject);
  const [osier, intent, domain, project, , noun = '', verb = '', token, more] = subject.split('.');
  return osier === 'osier' && intent === 'intent' && more === undefined && token === who.token && isWithin(who, domain, project) && mayWish(who, noun, verb);
}

/** Whether a message on `subject` may come to the ears of `who`. */
export function mayHear(who: Person, subject: string): boolean {
  if (subject === `osier.ask.connections.${who.node}`) return true;
  const [osier, what, domain, project] = subject.split('.');
  return osier === 'osier' && (what === 'outcome' || what === 'flow') && isWithin(who, domain, project);
}
