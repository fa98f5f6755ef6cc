import { Command, Option } from 'commander';
import type { ExitCode } from './failure.ts';
import { formats, type Io } from './io.ts';

/** What a command ends with. */
export interface Ending { code: ExitCode }

const collect = (value: string, all: readonly string[] = []): string[] => [...all, value];

const outputOption = (): Option => new Option('-o, --output <format>', 'how to print').choices(formats).default('table');

function connected(command: Command): Command {
  return command
    .addOption(outputOption())
    .option('--server <url>', 'address of Osier (default: OSIER_SERVER, else the lab of this machine)')
    .option('--creds <file>', 'credentials file to ask with (default: OSIER_CREDS)')
    .option('--token-file <file>', 'file that holds a token instead (default: OSIER_TOKEN_FILE, OSIER_TOKEN, else the token of the lab)')
    .option('--ca <file>', 'PEM file of the authority of a server over TLS (default: OSIER_CA, else that of the lab; without any: those that this machine trusts)')
    .option('--lab <name>', 'the lab of this machine to speak to, by name');
}

function scoped(command: Command): Command {
  return connected(command)
    .option('-d, --domain <name>', 'domain (default: OSIER_DOMAIN, else that of the lab)')
    .option('-p, --project <name>', 'project (default: OSIER_PROJECT, else that of the lab)')
    .option('-e, --environment <name>', 'environment (default: OSIER_ENVIRONMENT)');
}

/** `backup FILE` makes one; `verify` stands where a file would, and a file of that name is written as `./verify`. */
function backupCommands(program: Command, io: Io, ending: Ending): void {
  const backup = connected(program.command('backup'))
    .description('save the whole installation to a file, as of one moment; services hold still for seconds meanwhile, and nothing is lost')
    .argument('<file>', 'where to; must not exist')
    .addHelpText('after', `${examples('osier backup osier-2026-07-01.tar', 'osier backup verify osier-2026-07-01.tar')}
Not in it: keys, tokens and credentials (files of the services), flow records, and what is in the kernels of nodes, which agents make anew.\n`)
    .action(async (file: string, _options: unknown, command: Command) => {
      ending.code = await (await import('./commands/backup.ts')).backup(io, file, command.optsWithGlobals());
    });
  backup.command('verify')
    .description('look whether a backup is whole, without asking anybody')
    .argument('<file>', 'the backup')
    .addOption(outputOption())
    .action(async (file: string, _options: unknown, command: Command) => {
      ending.code = await (await import('./commands/backup.ts')).verify(io, file, command.optsWithGlobals());
    });
  connected(program.command('restore'))
    .description('make an empty installation what a backup says: same objects, same revisions, same addresses; may be repeated when it was interrupted')
    .argument('<file>', 'the backup')
    .addHelpText('after', examples('osier restore osier-2026-07-01.tar'))
    .action(async (file: string, _options: unknown, command: Command) => {
      ending.code = await (await import('./commands/restore.ts')).restore(io, file, command.optsWithGlobals());
    });
}

const examples = (...lines: string[]): string => `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}\n`;

/** The command line. Each command's code is loaded when it runs, so that --help is quick. */
export function buildProgram(io: Io, ending: Ending): Command {
  const program = new Command('osier')
    .description('Multi-tenant virtual networks for container platforms')
    .version('0.1.0', '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .showHelpAfterError('(see --help)')
    .addHelpText('after', [
      '', 'Exit codes: 0 done · 1 refused or failed · 2 wrong usage · 3 Osier cannot be reached · 4 not in time', '',
      'Try it on this machine:  osier lab up   then   osier get networks', '',
    ].join('\n'));

  scoped(program.command('apply'))
    .description('make or change objects to be as documents say')
    .requiredOption('-f, --file <path>', 'file, folder, or - for standard input; may be repeated', collect)
    .option('-w, --wait', 'wait until every node concerned has confirmed it in its kernel')
    .option('-t, --timeout <duration>', 'how long to wait', '30s')
    .addHelpText('after', examples('osier apply -f network.yaml', 'osier apply -f examples/shop --environment staging --wait', 'osier get policy web -o yaml | osier apply -f -'))
    .action(async (_options: unknown, command: Command) => {
      ending.code = await (await import('./commands/apply.ts')).applyFiles(io, command.optsWithGlobals(), 'PUT');
    });

  scoped(program.command('get'))
    .description('show objects')
    .argument('<kind>', 'domain, project, environment, network, endpoint, policy, node, routing-domain or lease')
    .argument('[name]', 'only this one')
    .option('-A, --all', 'all domains, projects and environments: leave the defaults aside')
    .option('--at <then>', 'as it was: a revision, a time, or how long ago')
    .addHelpText('after', examples('osier get networks', 'osier get endpoint frontend -e staging -o yaml', 'osier get policies -e production --at 2h'))
    .action(async (kind: string, name: string | undefined, _options: unknown, command: Command) => {
      ending.code = await (await import('./commands/get.ts')).get(io, kind, name, command.optsWithGlobals());
    });

  scoped(program.command('delete'))
    .description('remove objects')
    .argument('[kind]', 'kind of the object')
    .argument('[name]', 'its name')
    .option('-f, --file <path>', 'remove what these documents name: file, folder, or -; may be repeated', collect)
    .option('-w, --wait', 'wait until every node concerned has confirmed it in its kernel')
    .option('-t, --timeout <duration>', 'how long to wait', '30s')
    .addHelpText('after', examples('osier delete endpoint frontend -e staging --wait', 'osier delete -f examples/shop'))
    .action(async (kind: string | undefined, name: string | undefined, _options: unknown, command: Command) => {
      ending.code = await (await import('./commands/delete.ts')).remove(io, kind, name, command.optsWithGlobals());
    });

  scoped(program.command('wait'))
    .description('wait until an object is enforced on every node concerned, or gone')
    .argument('<kind>', 'kind of the object')
    .argument('<name>', 'its name')
    .addOption(new Option('--for <state>', 'what to wait for').choices(['enforced', 'deleted']).default('enforced'))
    .option('-t, --timeout <duration>', 'how long to wait', '30s')
    .addHelpText('after', examples('osier wait policy database -e staging --for enforced'))
    .action(async (kind: string, name: string, _options: unknown, command: Command) => {
      ending.code = await (await import('./commands/wait.ts')).wait(io, kind, name, command.optsWithGlobals());
    });

  scoped(program.command('flows'))
    .description('show who spoke to whom, and which rule allowed or denied it')
    .option('-F, --follow', 'go on with new ones as they come')
    .option('--denied', 'only what was denied')
    .option('--shadow', 'only what shadow policies would decide otherwise')
    .option('--since <time>', 'a time, or how long ago: 5m')
    .addHelpText('after', examples('osier flows --denied --follow', 'osier flows -e production --shadow', 'osier flows -e production --since 10m -o json'))
    .action(async (_options: unknown, command: Command) => {
      ending.code = await (await import('./commands/flows.ts')).flows(io, command.optsWithGlobals());
    });

  scoped(program.command('connections'))
    .description('show the connections that are open now, as the kernels of the nodes hold them')
    .option('-A, --all', 'all domains, projects and environments: leave the defaults aside')
    .addHelpText('after', `${examples('osier connections -e production', 'osier connections -A -o json')}
Packets and bytes are there/back. A node that does not answer within seconds is named.\n`)
    .action(async (_options: unknown, command: Command) => {
      ending.code = await (await import('./commands/connections.ts')).connections(io, command.optsWithGlobals());
    });

  backupCommands(program, io, ending);
  reachCommand(program, io, ending);
  policyCommands(program, io, ending);

  connected(program.command('nodes'))
    .description('show nodes, and what each has confirmed')
    .action(async (_options: unknown, command: Command) => {
      ending.code = await (await import('./commands/nodes.ts')).nodes(io, command.optsWithGlobals());
    });

  within(connected(program.command('audit')))
    .description('show who wished what, when, and what became of it; the newest first')
    .option('--since <time>', 'a time, or how long ago: 5m, 2h, 7d')
    .option('--credential <id>', 'only what this credential wished')
    .addOption(new Option('--result <result>', 'only what ended so').choices(['accepted', 'refused', 'pending', 'ignored']))
    .option('--noun <kind>', 'only about this kind of object')
    .option('--limit <count>', 'at most so many', '100')
    .addHelpText('after', examples('osier audit --since 1h --result refused', 'osier audit --credential ci --noun policy -o json'))
    .action(async (_options: unknown, command: Command) => {
      ending.code = await (await import('./commands/audit.ts')).audit(io, command.optsWithGlobals());
    });

  deadCommands(program, io, ending);
  credentialCommands(program, io, ending);
  return program;
}

function reachCommand(program: Command, io: Io, ending: Ending): void {
  scoped(program.command('reach'))
    .description('compute who reaches whom, and whose rule says so: in the installation, or from files, with no service running')
    .option('-f, --file <path>', 'compute from Kubernetes manifests or Osier documents: file, folder, or -; may be repeated (default: the installation)', collect)
    .option('-A, --all', 'of the installation: all domains, projects and environments')
    .option('--at <then>', 'of the installation as it was: a revision, a time, or how long ago')
    .option('--from <who>', 'NAMESPACE/POD, ENVIRONMENT/ENDPOINT or ip:ADDRESS (default: everybody)')
    .option('--to <who>', 'the same for the destination (default: everybody)')
    .addOption(new Option('--protocol <protocol>', 'TCP, UDP, SCTP or ICMP (default: TCP, else what the destination declares)').choices(['TCP', 'UDP', 'SCTP', 'ICMP']))
    .option('--port <number>', 'destination port (default: each that the destination declares, else 80)')
    .addOption(new Option('--family <family>', 'addresses to ask with, where both are had').choices(['4', '6']))
    .option('--probes <file>', 'a JSON list of questions: [{"from":"ns/pod","to":"ns/pod","protocol":"TCP","port":80,"family":4}]')
    .option('--shadows', "as if the shadow policies were in force (Osier's own documents)")
    .option('--validate', 'only say what an API server would reject, and why')
    .option('--strict-cidr', 'as API servers from 1.36 on: refuse CIDRs with leading zeros, with bits beyond the prefix, and IPv4-mapped ones')
    .addHelpText('after', examples('osier reach -e production --from web --to db --port 5432', 'osier reach -e production --from web --to db --port 5432 --at 2h', 'osier reach -f manifests/ --from shop/web --to shop/db --port 5432', 'kubectl get ns,pods,netpol -A -o json | osier reach -f - -o json', 'osier reach --validate -f policies.yaml'))
    .action(async (_options: unknown, command: Command) => {
      ending.code = await (await import('./commands/reach.ts')).reach(io, command.optsWithGlobals());
    });
}

function policyCommands(program: Command, io: Io, ending: Ending): void {
  const policy = program.command('policy').description('hold policies to what is wanted of them, and see what a change would do before it is made');
  scoped(policy.command('test')).description('check assertions, each with a packet that shows it wrong; exit code 1 if any fails, 2 if a file is not valid')
    .argument('<file>', 'assertions: a YAML file')
    .option('-f, --file <path>', 'check Kubernetes manifests or Osier documents, with no service running: file, folder, or -; may be repeated (default: the installation)', collect)
    .option('-A, --all', 'of the installation: all domains, projects and environments')
    .option('--packets', 'send the packets in the lab of this machine instead of computing (TCP, UDP and SCTP over IPv4); with -f MANIFESTS name the environment that they run in')
    .addHelpText('after', `${examples('osier policy test policy-test.yaml -f manifests/', 'osier policy test policy-test.yaml --packets -e production', 'kubectl get ns,nodes,pods,netpol -A -o json | osier policy test policy-test.yaml -f -', 'osier policy test policy-test.yaml -e production -o json')}
An assertion file:
  assertions:
    - name: production db only from api       # nobody else reaches it, on any port
      to: {namespace: prod, labels: {app: db}}
      ports: [TCP/5432]
      onlyFrom: {namespace: prod, labels: {app: api}}
    - name: staging never reaches production
      from: {namespace: staging}
      to: {namespace: prod}
      expect: deny
Selectors: namespace, labels, namespaceLabels, pod (Osier: environment, tags, endpoint), ip, outside; {} is everybody here.
`)
    .action(async (file: string, _options: unknown, command: Command) => {
      ending.code = await (await import('./commands/policy-test.ts')).policyTest(io, file, command.optsWithGlobals());
    });
  scoped(policy.command('plan')).description('compute who would reach whom after a change and does not now, and the other way round; and which rules would decide nothing')
    .option('-f, --file <path>', 'what is to be applied, in the place of objects of the same name: file, folder, or -; may be repeated', collect)
    .option('--delete <path>', 'what is to be deleted: files that name it; may be repeated', collect)
    .option('--against <path>', 'the world as it is, from files, with no service running; may be repeated (default: the installation)', collect)
    .option('-A, --all', 'of the installation: all domains, projects and environments')
    .addOption(new Option('--fail-on <effect>', 'exit with 1 where anything does so').choices(['open', 'close', 'live', 'any']))
    .addHelpText('after', `${examples('osier policy plan -f new-policy.yaml --against manifests/', 'kubectl get ns,nodes,pods,netpol -A -o json | osier policy plan -f new-policy.yaml --against -', 'osier policy plan -f database.yaml -e production --fail-on live', 'osier policy plan --delete old-policy.yaml --against manifests/ -o json')}
Of the installation, its nodes are asked which connections they hold now, and it is told which of these would end; --fail-on live also fails where that is not known.\n`)
    .action(async (_options: unknown, command: Command) => {
      ending.code = await (await import('./commands/policy-plan.ts')).policyPlan(io, command.optsWithGlobals());
    });
}

/** Narrows by scope only where that is asked for: what is not shown could be what is looked for. */
function within(command: Command): Command {
  return command.option('-d, --domain <name>', 'only of this domain').option('-p, --project <name>', 'only of this project');
}

function credentialCommands(program: Command, io: Io, ending: Ending): void {
  const credentials = program.command('credentials').description('who may ask, where, as what, and until when');
  const command = (words: string, what: string): Command => {
    const made = connected(credentials.command(words)).description(what).option('-d, --domain <name>', 'of this domain (default: OSIER_DOMAIN, else that of the lab)');
    return words.startsWith('list') ? made : made.option('--platform', 'of the platform itself, over all domains');
  };
  command('issue <name>', 'make a credential, or a further key for one, and write its file; the key never leaves this machine')
    .option('-p, --project <name>', 'in this project only')
    .addOption(new Option('--role <role>', 'what it may do: each role also what those before it may').choices(['viewer', 'editor', 'approver', 'admin']))
    .option('--node <name>', 'for the agent of this node (of the platform)')
    .option('--expires <duration>', 'how long the key counts: 12h, 90d', '90d')
    .option('--out <file>', 'where to write it (default: NAME.creds)')
    .addHelpText('after', examples('osier credentials issue ci -d acme -p shop --role editor --expires 90d', 'osier credentials issue node-7 --node node-7 --out /etc/osier/agent.creds', 'osier credentials issue ci -d acme --out ci-new.creds     # a second key: rotate without a gap'))
    .action(async (name: string, _options: unknown, c: Command) => {
      ending.code = await (await import('./commands/credentials.ts')).issue(io, name, c.optsWithGlobals());
    });
  command('list', 'show credentials, their keys and when these expire').option('-A, --all', 'of all domains, and of the platform')
    .action(async (_options: unknown, c: Command) => {
      ending.code = await (await import('./commands/credentials.ts')).list(io, c.optsWithGlobals());
    });
  command('revoke <name>', 'end a credential, or one key of it; whoever is connected with it is put out')
    .option('--key <public key>', 'only this key, as the list shows it')
    .action(async (name: string, _options: unknown, c: Command) => {
      ending.code = await (await import('./commands/credentials.ts')).revoke(io, name, c.optsWithGlobals());
    });
  connected(credentials.command('fetch')).description('write the login of a credentials file anew, for the key that is in it: after a restore elsewhere')
    .action(async (_options: unknown, c: Command) => {
      ending.code = await (await import('./commands/credentials.ts')).fetchLogin(io, c.optsWithGlobals());
    });
  credentials.command('token').description('print a token for the HTTP door, signed with the key of a credentials file: for curl. Whoever has it is you')
    .option('--creds <file>', 'credentials file (default: OSIER_CREDS)').option('--expires <duration>', 'how long it counts', '1h')
    .action(async (_options: unknown, c: Command) => {
      ending.code = await (await import('./commands/credentials.ts')).token(io, c.optsWithGlobals());
    });
}

function deadCommands(program: Command, io: Io, ending: Ending): void {
  const dead = program.command('dead').description('intents that had to be given up, or that nobody can read');
  within(connected(dead.command('list')))
    .description('list dead letters, the newest first')
    .option('--limit <count>', 'at most so many', '100')
    .action(async (_options: unknown, command: Command) => {
      ending.code = await (await import('./commands/dead.ts')).list(io, command.optsWithGlobals());
    });
  const one = (name: string, what: string): Command => connected(dead.command(name)).description(what).argument('<id>', 'as `osier dead list` shows it: DOMAIN/PROJECT/INTENT');
  one('show', 'show one, with all that was published and why it was given up').action(async (id: string, _options: unknown, command: Command) => {
    ending.code = await (await import('./commands/dead.ts')).show(io, id, command.optsWithGlobals());
  });
  one('retry', 'publish one again under a new id, in the name of its author; it is dropped when that is stored')
    .option('-t, --timeout <duration>', 'how long to wait until it is decided', '10s')
    .action(async (id: string, _options: unknown, command: Command) => {
      ending.code = await (await import('./commands/dead.ts')).retry(io, id, command.optsWithGlobals());
    });
  one('drop', 'throw one away').action(async (id: string, _options: unknown, command: Command) => {
    ending.code = await (await import('./commands/dead.ts')).drop(io, id, command.optsWithGlobals());
  });
}
