import { parseArgs } from 'node:util';

/** Every bench that there is to be; one is measured when `test/bench/NAME/bench.ts` is there. */
export const promised: Readonly<Record<string, string>> = {
  bus: 'intents through the bus and a service, beside raw JetStream',
  policy: 'from a change of the rules to the receipts of the nodes, and compiling worlds',
  ipam: 'addresses: reserving and releasing them',
  dataplane: 'packets through the programs in the kernel',
  attach: 'from the intent of an endpoint to its first packet',
  cni: 'a container through the CNI plugin',
};

export interface Command { readonly name: string; readonly quick: boolean; readonly json?: string }
/** What was asked cannot be done; its message says what can. */
export class Usage extends Error {
  override readonly name = 'Usage';
}

export function help(measured: readonly string[]): string {
  const line = ([name, about]: readonly [string, string]): string => `  ${name.padEnd(10)} ${about}${measured.includes(name) ? '' : ' (not measured yet)'}`;
  return [
    'npm run bench -- NAME [--quick] [--json FILE]', '', ...Object.entries(promised).map(line), '',
    '--quick      fewer repetitions: the numbers mean less',
    '--json FILE  the figures for programs too; "targets" has those that are held to something',
    '', 'A target that is missed is printed in red with its number, and is no failure: the exit code is 0 when everything was measured,',
    '1 when something could not be, 2 when what was asked makes no sense.',
  ].join('\n');
}

/** Undefined: help is asked for. Throws Usage for anything that is not understood whole. */
export function readCommand(args: readonly string[], measured: readonly string[]): Command | undefined {
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], allowPositionals: true, options: { quick: { type: 'boolean' }, json: { type: 'string' }, help: { type: 'boolean', short: 'h' } } });
  } catch (error) {
    throw new Usage(`bench: ${(error as Error).message.split('. ')[0]}. The options are --quick and --json FILE.`);
  }
  const { values, positionals: [name, ...more] } = parsed;
  if (values.help === true) return undefined;
  const those = `Measured are: ${measured.join(', ') || 'none'}.`;
  if (name === undefined) throw new Usage(`bench: which one? ${those} Say npm run bench -- NAME.`);
  if (more.length > 0) throw new Usage(`bench: one at a time, and not "${[name, ...more].join(' ')}": two would take the machine from each other.`);
  if (!Object.hasOwn(promised, name)) throw new Usage(`bench: there is none called "${name}". ${those}`);
  if (!measured.includes(name)) throw new Usage(`bench ${name}: not measured yet. ${those}`);
  if (values.json === '') throw new Usage('bench: --json needs the name of a file.');
  return { name, quick: values.quick === true, ...(values.json === undefined ? {} : { json: values.json }) };
}
