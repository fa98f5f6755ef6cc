// Node agents as they are, several in one process, each with its own connection and credential, over kernels that are only in memory.
import { readFileSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { v7 } from 'uuid';
import { connectBus } from '@osier/bus/jetstream';
import { fakeKernel } from '@osier/dataplane/fake';
import { readBackFake } from '@osier/dataplane/fake/witness';
import { silent } from '@osier/telemetry/log';
import { startAgent } from '../../../apps/node-agent/src/agent.ts';
import { createObserver } from '../../../apps/node-agent/src/kernel/witness.ts';

export interface AgentsOrders { readonly url: string; readonly nodes: readonly { readonly name: string; readonly jwt: string; readonly seed: string }[]; readonly readyFile: string; readonly quiet?: boolean }

const { url, nodes, readyFile, quiet = false } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as AgentsOrders;
/** What goes on by the clock is not what is measured where hundreds of agents share a processor. */
const never = 3_600_000;
const every = quiet ? { inspect: never, report: never, collect: never } : {};

/** Hundreds of heaps in one process are of this bench alone: what they left when they began is not collected while changes are measured. */
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

let ready = 0;
for (const { name, ...login } of nodes) {
  const bus = await connectBus({ url, ...login, name });
  const kernel = fakeKernel();
  const observe = createObserver();
  await startAgent({
    node: name, bus, kernel, log: silent, now: Date.now, newId: () => v7(), every,
    witness: { look: () => observe(readBackFake(kernel)), devicesChanged: () => false, lookAtTables: () => observe.tables(readBackFake(kernel)), inside: () => [], connections: () => 0 },
    devices: { netnsDir: '/run/netns', underlayMtu: 1500, underlayDevice: undefined, vxlanPort: 4789 },
    onReady: () => {
      if (++ready < nodes.length) return;
      collectGarbage();
      writeFileSync(readyFile, '');
    },
  });
}
process.on('SIGTERM', () => process.exit(0));
