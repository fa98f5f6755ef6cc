import type { Command } from 'commander';
import type { Progress } from './progress.ts';

/** The surroundings of a command, as the command line gives them. */
export interface LabIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  out(text: string): void;
  err(text: string): void;
  readonly interactive: boolean;
  readonly signal: AbortSignal;
}
interface Named { name: string }
interface Output { output: 'table' | 'json' }
type Up = Named & Output & { tls?: boolean; nodes: string; natsServers: string; domain: string[]; project: string };
type Load = Named & Output & { file: string; environment: string[]; domain?: string; project?: string; prune?: boolean };

const collect = (value: string, before: string[]): string[] => [...before, value];

/** `osier lab …`. What a command needs is loaded when it runs, so that help stays quick. */
export function registerLab(program: Command, io: LabIo): void {
  const lab = program.command('lab').description('a whole Osier on this machine, in network namespaces: to try it, to test with real packets, to rehearse a change');
  const command = (name: string, description: string): Command =>
    lab.command(name).description(description).option('--name <lab>', 'which lab', io.env.OSIER_LAB ?? 'osier');
  const withOutput = (c: Command): Command => c.option('-o, --output <format>', 'table or json', 'table');

  withOutput(command('up', 'start NATS, the services, nodes and their agents; returns when all is ready'))
    .option('--nodes <count>', 'how many nodes', '3')
    .option('--nats-servers <count>', '1, or 3 as a cluster that keeps every stream three times', '1')
    .option('--domain <name>', 'a domain that gets an account on the bus (repeatable; default: acme)', collect, [])
    .option('--project <name>', 'the project that later commands mean', 'shop')
    .option('--tls', "everything speaks TLS, by certificates that the lab makes for itself")
    .action(async (o: Up) => {
      const [{ labUp }, { apiUrl }] = await Promise.all([import('./up.ts'), import('./programs.ts')]);
      const up = await labUp({
        name: o.name, nodes: Number(o.nodes), natsServers: Number(o.natsServers), domains: o.domain.length > 0 ? o.domain : ['acme'], project: o.project, ...(o.tls ? { tls: true } : {}),
        progress: await progressOf(io, o), signal: io.signal, env: telemetryOf(io),
      });
      const server = apiUrl(up.record);
      if (o.output === 'json') io.out(JSON.stringify({ name: o.name, server, directory: up.paths.dir, nodes: up.record.nodes }, null, 2));
      else io.out(`Lab "${o.name}" is up: ${up.record.nodes.length} nodes, HTTP on ${server}, everything of it in ${up.paths.dir}.\nNext: osier lab load -f test/data/online-boutique --environment staging --environment production`);
    });

  withOutput(command('down', 'remove all of a lab, also one that was killed or is half made'))
    .action(async (o: Named & Output) => {
      const { labDown } = await import('./down.ts');
      const removed = await labDown(o.name);
      if (o.output === 'json') io.out(JSON.stringify({ name: o.name, ...removed }, null, 2));
      else if (!removed.folder && removed.namespaces === 0 && removed.processes === 0) io.out(`There is no lab "${o.name}"; nothing to remove.`);
      else io.out(`Lab "${o.name}" is gone: ${removed.processes} processes, ${removed.namespaces} namespaces and its folder removed.`);
    });

  withOutput(command('status', 'what runs in a lab, and where each program logs'))
    .action(async (o: Named & Output) => {
      const { showStatus } = await import('./status.ts');
      io.out(await showStatus(o.name, o.output));
    });

  command('credentials', 'issue the credentials of its agents and domains anew, for the keys that they have: after osier restore')
    .action(async (o: Named) => {
      const [{ openLab }, { reissueCredentials }] = await Promise.all([import('./lab.ts'), import('./credentials.ts')]);
      await reissueCredentials(openLab(o.name));
      io.out(`The agents of lab "${o.name}" log in with what is in force now.`);
    });

  withOutput(command('load', 'run the application of Kubernetes manifests: its workloads, Services and policies of every kind; a cluster is one environment'))
    .requiredOption('-f, --file <path>', 'folder or file')
    .requiredOption('-e, --environment <name>', 'into this environment (repeatable)', collect, [])
    .option('-d, --domain <name>').option('-p, --project <name>')
    .option('--prune', 'and remove what an earlier load put there and the manifests no longer hold')
    .action(async (o: Load) => {
      const [{ openLab }, { loadManifests }] = await Promise.all([import('./lab.ts'), import('./load.ts')]);
      const loaded = await loadManifests(openLab(o.name), {
        path: o.file, environments: o.environment, progress: await progressOf(io, o),
        prune: o.prune === true, ...(o.domain === undefined ? {} : { domain: o.domain }), ...(o.project === undefined ? {} : { project: o.project }),
      });
      const { workloads, services, ignored, leftOut } = loaded.application;
      const policies = [...loaded.application.policies, ...loaded.application.projectPolicies];
      if (o.output === 'json') io.out(JSON.stringify({ environments: loaded.environments, revision: loaded.revision, workloads: workloads.map((w) => w.name), services: services.map((s) => s.name), policies: policies.map((p) => p.name), ignored, leftOut, pruned: loaded.pruned }, null, 2));
      else {
        const left = [...new Set(ignored.map((i) => i.kind))].map((kind) => `${ignored.filter((i) => i.kind === kind).length} ${kind}`);
        for (const line of leftOut) io.err(`left out: ${line}`);
        for (const line of loaded.pruned) io.out(`removed ${line}`);
        io.out(`${workloads.length} workloads, ${services.length} services and ${policies.length} policies in ${loaded.environments.join(' and ')}, in force at revision ${loaded.revision}.${left.length > 0 ? ` Ignored: ${left.join(', ')}.` : ''}\nNext: osier lab matrix`);
      }
    });

  command('exec', 'run a command inside a workload: osier lab exec staging/frontend -- curl cartservice:7070')
    .argument('<workload>', 'environment/workload').argument('<command...>', 'after --')
    .action(async (workload: string, words: string[], o: Named) => {
      const { execIn } = await import('./exec.ts');
      process.exitCode = await execIn(o.name, workload, words);
    });

  withOutput(command('probe', 'try one connection with real packets; exit code 0: reached, 1: not. Or many: --probes'))
    .argument('[from]', 'environment/workload, or environment/namespace/pod').argument('[to]', 'the same, or environment/service').argument('[port]')
    .option('--protocol <name>', 'TCP, UDP or SCTP', 'TCP')
    .option('--probes <file>', 'the questions of osier reach --probes (JSON; - for standard input), answered by packets in the same order')
    .option('-e, --environment <name>', 'with --probes: between the workloads of this environment')
    .action(async (from: string | undefined, to: string | undefined, port: string | undefined, o: Named & Output & { protocol: string; probes?: string; environment?: string }) => {
      const [{ probeFile, probeOne }, { LabError }] = await Promise.all([import('./probe-one.ts'), import('./names.ts')]);
      if (o.probes !== undefined) {
        if (from !== undefined) throw new LabError('--probes and one connection exclude each other', 'Write the connection into the file, or leave out --probes.');
        const verdicts = await probeFile(o.name, { file: o.probes, ...(o.environment === undefined ? {} : { environment: o.environment }) });
        return io.out(o.output === 'json' ? JSON.stringify({ verdicts }, null, 1) : verdicts.map((v) => `${v.verdict.padEnd(6)} ${v.from} → ${v.to} ${v.protocol} ${v.port}`).join('\n'));
      }
      if (from === undefined || to === undefined || port === undefined) throw new LabError('a probe has a source, a target and a port', 'Write osier lab probe staging/web staging/db 5432, or name a file: --probes FILE.');
      const result = await probeOne(o.name, { from, to, port, protocol: o.protocol });
      io.out(o.output === 'json' ? JSON.stringify(result.probe, null, 2) : result.text);
      if (!result.probe.reached) process.exitCode = 1;
    });

  withOutput(command('matrix', 'try every ordered pair of workloads on every declared port, inside and across environments'))
    .action(async (o: Named & Output) => {
      const [{ openLab }, { readInventory }, { measureMatrix }, { showMatrix }] = await Promise.all([import('./lab.ts'), import('./inventory.ts'), import('./probes.ts'), import('./show.ts')]);
      const { paths } = openLab(o.name);
      const probes = await (await progressOf(io, o)).step('probing every pair', async () => measureMatrix(paths, readInventory(paths)));
      io.out(o.output === 'json' ? JSON.stringify({ probes }, null, 1) : showMatrix(probes));
    });

  for (const [name, description, what] of [['stop', 'end programs of the lab and keep them ended (--kill: without a warning)', 'hold'], ['start', 'start programs again that were stopped', 'release']] as const) {
    const sub = command(name, description).argument('<program...>', 'as osier lab status names them');
    if (what === 'hold') sub.option('--kill', 'SIGKILL');
    sub.action(async (names: string[], o: Named & { kill?: boolean }) => {
      const { openLab, tellSupervisor } = await import('./lab.ts');
      const views = await tellSupervisor(openLab(o.name).paths, { do: what, names, ...(o.kill ? { signal: 'SIGKILL' } : {}) });
      for (const view of views.filter((v) => names.includes(v.name))) io.out(`${view.name}: ${view.pid === undefined ? 'stopped' : `running, pid ${view.pid}`}`);
    });
  }
}

async function progressOf(io: LabIo, o: Output): Promise<Progress> {
  const [{ progressOn, silent }, { default: colours }] = await Promise.all([import('./progress.ts'), import('picocolors')]);
  if (o.output === 'json' && !io.interactive) return silent;
  return progressOn({ write: (text) => process.stderr.write(text), live: io.interactive, columns: process.stderr.columns, colour: (name, text) => (io.interactive && !io.env.NO_COLOR ? colours[name](text) : text) });
}

function telemetryOf(io: LabIo): Record<string, string> {
  const entries = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OSIER_LOG_LEVEL'].map((name): [string, string | undefined] => [name, io.env[name]]);
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== undefined));
}
