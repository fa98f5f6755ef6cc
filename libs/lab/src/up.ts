import { setTimeout as sleep } from 'node:timers/promises';
import { streamReplicas } from '@osier/bus/replicas';
import { platformScope } from '@osier/contracts/document';
import { issueCredentials } from './credentials.ts';
import { readJson, writeJson } from './files.ts';
import { authorityOf, prepareCertificates } from './certificates.ts';
import { type Client, inParallel, labClient } from './client.ts';
import { readInventory, workloadsOf } from './inventory.ts';
import { type ClientFile, type Lab, runningSupervisor, tellSupervisor } from './lab.ts';
import { withLock } from './lock.ts';
import { checkLabName, LabError } from './names.ts';
import { labPaths, type LabPaths, nodeBinary, program, repository } from './paths.ts';
import { agentSpecs, apiUrl, controlSpecs, natsSpecs, writeSecretFiles } from './programs.ts';
import { type Progress, silent } from './progress.ts';
import { waitReady } from './readiness.ts';
import { type LabOptions, type LabRecord, makeFolders, newRecord, newSecrets, readRecord, type Secrets, writeRecord } from './record.ts';
import { startDetached } from './supervisor/child.ts';
import { living, type ProcessSpec, writeSpec } from './supervisor/spec.ts';
import { mountBpffs } from './system/bpffs.ts';
import { memberVariable, membersOf } from './system/members.ts';
import { end } from './system/processes.ts';
import { restoreGrants } from './system/grants.ts';
import { namespacesOf } from './system/namespaces.ts';
import { makeUnderlay, mostNodes } from './underlay.ts';

/** A single server, or a cluster that keeps each stream as often as it has servers. */
const natsServerCounts: readonly number[] = streamReplicas;

/**
 *   folders, secrets ─► underlay, bpffs ─► supervisor ─► nats-server ─► services, api ─► nodes registered, credentials issued ─► agents ─► every node ready
 *
 * Every step makes what is missing and leaves what is there: so the same way starts a lab and repairs one, whatever was killed.
 */
export async function labUp(o: LabOptions & { progress?: Progress; signal?: AbortSignal }): Promise<Lab> {
  const paths = labPaths(checkLabName(o.name));
  if (!Number.isInteger(o.nodes) || o.nodes < 1 || o.nodes > mostNodes) throw new LabError(`a lab of ${o.nodes} nodes cannot be made`, `Ask for 1 to ${mostNodes} nodes.`);
  if (!natsServerCounts.includes(o.natsServers ?? 1)) throw new LabError(`a lab with ${o.natsServers} nats-servers cannot be made`, `Ask for ${natsServerCounts.join(' or ')}: an even number survives no more than the odd one below it.`);
  if (process.getuid?.() !== 0) throw new LabError('a lab makes network namespaces and loads programs into the kernel, which only root may', 'Run it as root.');
  return withLock(paths.dir, 'starting it', () => bringUp(paths, o, o.progress ?? silent));
}

async function bringUp(paths: LabPaths, o: LabOptions & { signal?: AbortSignal }, progress: Progress): Promise<Lab> {
  const before = readRecord(paths);
  refuseSecond(paths, before);
  if (before === undefined && namespacesOf(o.name).length > 0) {
    throw new LabError(`namespaces of a lab "${o.name}" are left over: ${namespacesOf(o.name).slice(0, 3).join(', ')}`, `Remove them: osier lab down --name ${o.name}`);
  }
  if (before !== undefined && o.tls === true && before.tls !== true) {
    throw new LabError(`lab "${o.name}" was made without TLS`, `Make it anew: osier lab down --name ${o.name}, then osier lab up --name ${o.name} --tls; or choose another name.`);
  }
  const { owner: _former, ...kept } = before ?? (await newRecord(o));
  const record: LabRecord = { ...kept, phase: 'starting', ...(o.owner === undefined ? {} : { owner: o.owner }) };
  const ready = async (specs: readonly ProcessSpec[], say: (text: string) => void, timeoutMs = 60_000): Promise<void> => {
    for (const spec of specs) writeSpec(paths, spec);
    await tellSupervisor(paths, { do: 'sync' });
    const waiting = new Set(specs.map((spec) => spec.name));
    say(`waiting for ${[...waiting].join(', ')}`);
    await waitReady(paths, specs, { timeoutMs, signal: o.signal, onReady: (spec) => {
      waiting.delete(spec.name);
      say(waiting.size > 0 ? `waiting for ${[...waiting].join(', ')}` : '');
    } });
    o.signal?.throwIfAborted();
  };

  const secrets = await progress.step('machine: namespaces, underlay, BPF file system', async (say) => {
    makeFolders(paths, record);
    writeRecord(paths, record);
    restoreGrants(paths, record.nodes.map((node) => node.name), workloadsOf(readInventory(paths)));
    await prepareCertificates(paths, record);
    const found = await prepareSecrets(paths, record);
    await makeUnderlay(record.name, record.nodes);
    await mountBpffs(paths.bpf);
    await startSupervisor(paths, record, o.signal);
    say(`${record.nodes.length} nodes`);
    return found;
  });
  await progress.step('message bus', (say) => ready(natsSpecs(paths, record), say));
  await progress.step('services: tenant, ipam, topology, policy, api', (say) => ready(controlSpecs(paths, record, o.env), say));
  const client = labClient({ server: apiUrl(record), token: secrets.token, ca: authorityOf(paths, record) });
  await progress.step(`nodes: ${record.nodes.map((node) => node.name).join(', ')}`, async (say) => {
    await registerNodes(client, record);
    await issueCredentials(client, paths, record, secrets);
    await ready(agentSpecs(paths, record, o.env), say);
    await nodesReady(client, record, paths, say, o.signal);
  });
  const file: ClientFile = { server: apiUrl(record), token: secrets.token, ...(record.tls ? { ca: paths.certificate('ca') } : {}), defaults: { domain: record.domains[0] ?? '', project: record.project } };
  writeJson(paths.client, file);
  const up: LabRecord = { ...record, phase: 'up' };
  writeRecord(paths, up);
  return { paths, record: up, client };
}

function refuseSecond(paths: LabPaths, record: LabRecord | undefined): void {
  const supervisor = runningSupervisor(paths);
  if (supervisor === undefined || record === undefined || record.phase === 'starting') return;
  const count = living(paths).length;
  throw new LabError(
    `lab "${record.name}" is running already: ${count} programs, supervisor ${supervisor.pid}, since ${supervisor.startedAt}`,
    `Use it, end it (osier lab down --name ${record.name}), or choose another name (--name lab2).`,
  );
}

async function prepareSecrets(paths: LabPaths, record: LabRecord): Promise<Secrets> {
  const file = paths.secret('all');
  const secrets = readJson<Secrets>(file) ?? (await newSecrets(record));
  if (secrets.authority === undefined) throw new LabError(`lab "${record.name}" was made by an older version, whose bus had its accounts in a file`, `Remove it and start it anew: osier lab down --name ${record.name}`);
  writeJson(file, secrets);
  await writeSecretFiles(paths, record, secrets);
  return secrets;
}

async function startSupervisor(paths: LabPaths, record: LabRecord, signal: AbortSignal | undefined): Promise<void> {
  if (runningSupervisor(paths) === undefined) {
    // Programs of this lab that nobody wrote down would stand in the way of those that are about to start.
    const known = new Set(living(paths).map(({ state }) => state.pid));
    await end(membersOf(paths.dir).filter((member) => !known.has(member.pid)), 2_000);
    const owner = record.owner === undefined ? [] : [String(record.owner.pid), record.owner.startTime];
    startDetached({ argv: [nodeBinary, program('lab', 'supervisor'), record.name, ...owner], env: { [memberVariable]: paths.dir, NODE_COMPILE_CACHE: `${repository}/.cache/compile` }, log: paths.log('supervisor') });
  }
  for (const until = Date.now() + 20_000; ; await sleep(50)) {
    signal?.throwIfAborted();
    try {
      await tellSupervisor(paths, { do: 'status' });
      return;
    } catch (error) {
      if (Date.now() > until) throw error;
    }
  }
}

async function registerNodes(client: Client, record: LabRecord): Promise<void> {
  await inParallel(record.nodes, 8, (node) => client.apply('node', platformScope, node.name, { tunnelEndpoint: node.address }));
}

/** Ready: the node's agent has read back its kernel and said so. */
async function nodesReady(client: Client, record: LabRecord, paths: LabPaths, say: (text: string) => void, signal: AbortSignal | undefined): Promise<void> {
  for (const until = Date.now() + 60_000; ; await sleep(200)) {
    signal?.throwIfAborted();
    const views = await client.nodes();
    const missing = record.nodes.filter((node) => views.find((view) => view.name === node.name)?.state !== 'ready').map((node) => node.name);
    if (missing.length === 0) return say('');
    say(`waiting for a receipt of ${missing.join(', ')}`);
    if (Date.now() > until) {
      const state = (name: string): string => `${name} is ${views.find((view) => view.name === name)?.state ?? 'unknown to topology'}`;
      throw new LabError(`no receipt within a minute: ${missing.map(state).join(', ')}`, `Look into ${paths.logs} for what its agent says.`);
    }
  }
}
