import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Bus } from '@osier/bus/bus';
import { memoryBroker } from '@osier/bus/memory';
import type { Service } from '@osier/contracts/kinds';
import { followOutcomes, type Outcomes } from './outcomes.ts';

const place = { domain: 'acme', project: 'shop', intentId: 'same' };
let bus: Bus;
let outcomes: Outcomes;
const over = new AbortController();
const conclude = (service: Service) => bus.publish('osier.outcome.acme.shop.same', new TextEncoder().encode(JSON.stringify(
  { intentId: 'same', intent: 'x.apply', credential: 'ci', at: '2026-01-01T00:00:00Z', service, result: 'accepted', revision: 0, changes: [] },
)));
beforeEach(async () => {
  bus = memoryBroker().connect('api');
  await bus.ensureStreams();
  outcomes = followOutcomes(bus, () => undefined, 20);
});
afterEach(() => outcomes.stop());

describe('an id that two services have decided under', () => {
  it('has the outcome of each, and the last one for whoever names none', async () => {
    await conclude('topology');
    await conclude('policy');
    for (const service of ['topology', 'policy'] as const) expect(await outcomes.find({ ...place, service })).toMatchObject({ service });
    expect(await outcomes.find({ ...place, service: 'ipam' })).toBeUndefined();
    expect(await outcomes.find(place)).toMatchObject({ service: 'policy' });
  });

  it.each([true, false])('lets whoever waits for one of them wait on while the other comes (it looks at once: %s)', async (lookNow) => {
    await conclude('topology');
    const waiting = outcomes.wait({ ...place, service: 'policy', timeoutMs: 5_000, signal: over.signal, lookNow });
    await conclude('ipam');
    await new Promise((resolve) => setTimeout(resolve, 60));
    await conclude('policy');
    expect(await waiting).toMatchObject({ service: 'policy' });
    expect(await outcomes.wait({ ...place, service: 'tenant', timeoutMs: 60, signal: over.signal, lookNow: true })).toBeUndefined();
  });
});
