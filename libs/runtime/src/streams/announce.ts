import type { Bus } from '@osier/bus/bus';
import type { Service } from '@osier/contracts/kinds';
import { none } from '@osier/contracts/names';
import { observationSubject } from '@osier/contracts/subjects';
import type { Observation } from '@osier/contracts/telemetry';
import type { Surroundings } from '../context.ts';

/** The incarnations of CHANGES and STATE that a service has found to hold all that it has to say. */
export interface World { readonly changes: string; readonly state: string }
const services = Object.keys({ tenant: 1, ipam: 1, topology: 1, policy: 1 } satisfies Record<Service, 1>) as Service[];

/** No node is called `_`, so no node's account may publish there. */
const subject = (service: Service): string => observationSubject(none, `streams-${service}`);

async function said(bus: Bus, service: Service): Promise<World | undefined> {
  const last = await bus.last('OBSERVATIONS', subject(service));
  if (!last) return undefined;
  return (JSON.parse(new TextDecoder().decode(last.data)) as { detail?: World }).detail;
}
const same = (a: World | undefined, b: World): boolean => a?.changes === b.changes && a.state === b.state;

/** Once for each world, and again where the word was lost. */
export async function announce(bus: Bus, { service, now }: Surroundings, world: World): Promise<void> {
  if (same(await said(bus, service), world)) return;
  const observation: Observation = {
    node: none, at: new Date(now()).toISOString(), topic: 'health', severity: 'warning', detail: { ...world, service },
    message: `The streams were rebuilt; all that ${service} has to say has been published anew and compared with its database.`,
  };
  await bus.publish(subject(service), new TextEncoder().encode(JSON.stringify(observation)));
}
export async function allAnnounced(bus: Bus, world: World): Promise<boolean> {
  for (const service of services) if (!same(await said(bus, service), world)) return false;
  return true;
}
