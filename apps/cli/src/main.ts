//   argv ─► program (commander; commands are loaded when they run) ─► session: connection + client ─HTTP─► api
//                                                              └────► lab commands (@osier/lab), on this machine
import { type Command, CommanderError } from 'commander';
import { exitCodes, Failure } from './failure.ts';
import { type Io, processIo } from './io.ts';
import { buildProgram, type Ending } from './program.ts';

const stopping = new AbortController();
process.once('SIGINT', () => {
  stopping.abort();
  setTimeout(() => process.exit(130), 300).unref();
});
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
});

/** Says what went wrong, as JSON on stdout where JSON was asked for. */
function tell(io: Io, error: unknown, asJson: boolean): number {
  if (stopping.signal.aborted) return 130;
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  if (!(error instanceof Failure)) {
    const fix = (error as { fix?: unknown }).fix;
    io.err(`osier: ${error instanceof Error ? error.message : String(error)}`);
    if (typeof fix === 'string') io.err(`  fix: ${fix}`);
    else if (process.env['OSIER_DEBUG'] !== undefined && error instanceof Error) io.err(error.stack ?? '');
    return exitCodes.refused;
  }
  const { code, path, message: reason, fix = '' } = error;
  if (asJson) io.out(JSON.stringify({ problem: { code, reason, path, fix } }, undefined, 2));
  else {
    io.err(`osier: ${path === '' ? '' : `${path}: `}${reason}`);
    if (fix !== '') io.err(`  ${error.exitCode === exitCodes.unreachable ? 'try' : 'fix'}: ${fix}`);
  }
  return error.exitCode;
}

const everyCommand = (command: Command): Command[] => [command, ...command.commands.flatMap(everyCommand)];

async function run(argv: readonly string[]): Promise<number> {
  const io = processIo(stopping.signal);
  const ending: Ending = { code: exitCodes.ok };
  const program = buildProgram(io, ending);
  const first = argv.find((word) => !word.startsWith('-'));
  if (first === 'lab' || (first === 'help' && argv.includes('lab'))) (await import('@osier/lab/commands')).registerLab(program, io);
  else program.command('lab').description('a whole Osier on this machine: up, load, exec, probe, matrix, down');
  const asJson = argv.some((word, index) => word === '--output=json' || word === '-ojson' || (word === 'json' && ['-o', '--output'].includes(argv[index - 1] ?? '')));
  try {
    for (const command of everyCommand(program)) command.exitOverride();
    await program.parseAsync(argv as string[], { from: 'user' });
    return Number(process.exitCode ?? ending.code);
  } catch (error) {
    return tell(io, error, asJson);
  }
}

process.exitCode = await run(process.argv.slice(2));
