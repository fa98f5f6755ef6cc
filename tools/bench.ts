// npm run bench -- NAME [--quick] [--json FILE]: runs test/bench/NAME/bench.ts, and says what came out.
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import pico from 'picocolors';
import { help, promised, readCommand, Usage } from './bench/command.ts';
import { asJson, type Bench, table } from './bench/report.ts';
import { root } from './root.ts';

const fileOf = (name: string): string => join(root, 'test/bench', name, 'bench.ts');
const measured = Object.keys(promised).filter((name) => existsSync(fileOf(name)));

/** Now, and not after minutes of measuring. */
function writable(file: string): void {
  try {
    accessSync(existsSync(file) ? file : dirname(resolve(file)), constants.W_OK);
  } catch (error) {
    throw new Usage(`bench: ${file} cannot be written: ${(error as NodeJS.ErrnoException).code}. Name a file in a folder that is there.`);
  }
}

async function main(): Promise<void> {
  const command = readCommand(process.argv.slice(2), measured);
  if (command === undefined) return console.log(help(measured));
  const { name, quick, json } = command;
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  if (json !== undefined) writable(json);
  const { bench } = (await import(fileOf(name))) as { bench: Bench };
  const report = await bench({ quick, say: (line) => process.stderr.write(`${line}\n`) });
  console.log(table(report, pico));
  const machine = { cores: cpus().length, processor: cpus()[0]?.model ?? 'unknown', kernel: release(), node: process.version };
  if (json !== undefined) writeFileSync(json, asJson(report, { bench: name, quick, version, at: new Date().toISOString(), machine }));
}

// So that what is to be cleared away at the end is.
for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143]] as const) process.once(signal, () => process.exit(code));
try {
  await main();
} catch (error) {
  console.error(error instanceof Usage ? error.message : error);
  process.exitCode = error instanceof Usage ? 2 : 1;
}
