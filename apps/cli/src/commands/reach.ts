import { decide, Undecidable } from '@osier/domain/rules/decide';
import { type IndexedWorld, indexWorld } from '@osier/domain/rules/index-world';
import type { Party } from '@osier/domain/rules/model';
import { exitCodes, type ExitCode, Failure, usage } from '../failure.ts';
import type { Format, Io } from '../io.ts';
import { print, toJson, toYaml } from '../output.ts';
import { levels } from '../place.ts';
import { liveObjects, sessionOr, type WorldOptions } from '../policy/worlds.ts';
import { type Question, question, readProbes } from '../reach/probes.ts';
import { addressDoubt, type Answer, answerOf, answersText, isUndecided, problemText, validationText } from '../reach/show.ts';
import { readWorld, type Sources, unknownGroups, worldFrom } from '../reach/sources.ts';

export interface ReachOptions extends WorldOptions {
  readonly output: Format;
  readonly file?: readonly string[];
  readonly from?: string;
  readonly to?: string;
  readonly protocol?: string;
  readonly port?: string;
  readonly family?: string;
  readonly probes?: string;
  readonly validate?: boolean;
  readonly shadows?: boolean;
  readonly strictCidr?: boolean;
}

/** Asked of a pod that declares no port, where no port is asked for. */
const anyPort = { protocol: 'TCP', port: 80 };

/** `reach`: verdicts of the installation; with `-f` from files alone, with no service running. */
export async function reach(io: Io, options: ReachOptions): Promise<ExitCode> {
  if (options.probes !== undefined && (options.from ?? options.to ?? options.port) !== undefined) throw usage('--probes and --from, --to, --port exclude each other.', 'Write the question into the file, or leave out --probes.');
  if (options.file !== undefined && options.at !== undefined) throw usage('--at is about the installation, and files have no past.', 'Leave out one of --at and -f.');
  const read = options.file === undefined ? await live(io, options) : await readWorld(options.file, io, Object.fromEntries(levels.flatMap((level) => (options[level] === undefined ? [] : [[level, options[level]]]))), { shadows: options.shadows === true });
  const sources = options.strictCidr === true ? { ...read, problems: [...read.problems, ...read.warnings], warnings: [] } : read;
  if (options.validate === true) return validate(io, options, sources);
  if (sources.problems.length > 0) return refuse(io, options, sources);
  warn(io, sources);
  const index = indexWorld(sources.world);
  const questions = options.probes === undefined ? asked(index, options) : (await readProbes(options.probes, io)).map((probe, i) => question(index, probe, `probes[${i}]`));
  let undecided: Answer | undefined;
  const answers = function* (): Generator<Answer> {
    for (const question of questions) {
      const one = answer(index, question);
      if (isUndecided(one)) undecided ??= one;
      yield one;
    }
  };
  if (options.output === 'json') writeJson(io, answers());
  else {
    const all = [...answers()];
    if (options.output === 'yaml') io.out(await toYaml([{ verdicts: all.map(answerOf) }]));
    else io.out(answersText(all));
  }
  if (undecided === undefined) return exitCodes.ok;
  io.err(`not decided is ${undecided.question.probe.from} → ${undecided.question.probe.to}, which ${undecided.decision.reason}; change that field, or do not ask about it`);
  return exitCodes.refused;
}

async function live(io: Io, options: ReachOptions): Promise<Sources> {
  for (const [given, option] of [[options.validate, '--validate'], [options.strictCidr, '--strict-cidr']] as const) {
    if (given === true) throw usage(`${option} is about files, and none is named.`, 'Add -f FILE, a folder, or - for standard input.');
  }
  const objects = await liveObjects(options, sessionOr(io, options, '-f FILES'), io);
  return { world: worldFrom(objects, { shadows: options.shadows === true }), objects: objects.items.length, ignored: 0, problems: [], warnings: [], unknown: unknownGroups(objects) };
}

/** A matrix can be larger than a string may be, so it is written in pieces. */
const piece = 5_000;
function writeJson(io: Io, answers: Iterable<Answer>): void {
  io.out('{"verdicts":[');
  let [lines, first]: [string[], boolean] = [[], true];
  const flush = (): void => {
    if (lines.length > 0) io.out((first ? '' : ',') + lines.join(',\n'));
    [lines, first] = [[], false];
  };
  for (const one of answers) if (lines.push(JSON.stringify(answerOf(one))) === piece) flush();
  flush();
  io.out(']}');
}

const warningsShown = 3;
function warn(io: Io, { warnings, world, unknown }: Sources): void {
  for (const warning of warnings.slice(0, warningsShown)) io.err(`warning: ${problemText(warning)}`);
  if (warnings.length > warningsShown) io.err(`warning: ${warnings.length - warningsShown} more of these; osier reach --validate lists all`);
  const doubt = addressDoubt(world);
  for (const line of [...unknown, ...(doubt === undefined ? [] : [doubt])]) io.err(`warning: ${line}`);
}

function answer(index: IndexedWorld, question: Question): Answer {
  try {
    return { question, decision: decide(index, question) };
  } catch (error) {
    if (!(error instanceof Undecidable)) throw error;
    const { policy, message } = error;
    return { question, decision: { verdict: 'Undecided', tier: null, policy: policy.name, kind: policy.kind, rule: null, reason: `depends on what cannot be evaluated: ${message}`, egress: undefined, ingress: undefined } };
  }
}

async function validate(io: Io, { output }: ReachOptions, sources: Sources): Promise<ExitCode> {
  const { problems, warnings, objects } = sources;
  const result = { valid: problems.length === 0, objects, problems, warnings };
  await print(io, output, result, [result], () => validationText(sources));
  return problems.length === 0 ? exitCodes.ok : exitCodes.refused;
}

/** Nothing is computed from objects that would not be there. */
async function refuse(io: Io, { output }: ReachOptions, { problems }: Sources): Promise<ExitCode> {
  if (output === 'json') io.out(toJson({ problems }));
  else if (output === 'yaml') io.out(await toYaml([{ problems }]));
  else io.err([...problems.map(problemText), 'nothing was computed: this would be rejected when it is applied'].join('\n'));
  return exitCodes.refused;
}

/** The questions of --from, --to, --port; what is left out is everybody, and the ports that each destination declares. */
function asked(index: IndexedWorld, options: ReachOptions): Question[] {
  const names = index.world.parties.map(({ name }) => name);
  if (names.length === 0 && (options.from === undefined || options.to === undefined)) throw new Failure(exitCodes.refused, 'nobody', 'there is no pod, workload or endpoint here, so there is nobody to ask about.', options.file === undefined ? 'Name another place: -d, -p, -e, or -A for all.' : 'Add the manifests of the pods or the documents of the endpoints, or name both sides: --from ip:ADDRESS --to ip:ADDRESS.');
  if (options.port !== undefined && !/^\d{1,5}$/.test(options.port)) throw usage(`--port ${options.port.slice(0, 63)} is not a port.`, 'Give a number from 1 to 65535; for a port by name, the number that it has at the destination.');
  const number = options.port === undefined ? undefined : Number(options.port);
  const family = options.family === undefined ? {} : { family: Number(options.family) };
  const one = (from: string, to: string, protocol: string, port: number | undefined): Question =>
    question(index, { from, to, protocol, ...(port === undefined ? {} : { port }), ...family }, '');
  const portsOf = (to: string): { protocol: string; port: number | undefined }[] => {
    const protocol = options.protocol ?? 'TCP';
    if (number !== undefined || protocol === 'ICMP') return [{ protocol, port: number }];
    const declared = (index.party(to) as Party | undefined)?.ports ?? [];
    const fitting = declared.filter((port) => options.protocol === undefined || port.protocol === protocol);
    return fitting.length > 0 ? fitting : [{ ...anyPort, protocol }];
  };
  return (options.from === undefined ? names : [options.from]).flatMap((from) => (options.to === undefined ? names : [options.to])
    .flatMap((to) => portsOf(to).map(({ protocol, port }) => one(from, to, protocol, port))));
}
