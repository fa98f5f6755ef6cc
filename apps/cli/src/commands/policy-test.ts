import { readFileSync } from 'node:fs';
import { readAssertions, type Assertion, type Words } from '@osier/domain/review/assertions';
import { checker, type Outcome } from '@osier/domain/review/check';
import { exitCodes, type ExitCode, Failure, usage } from '../failure.ts';
import type { Io } from '../io.ts';
import { print } from '../output.ts';
import { outcomesByPackets } from '../policy/packets.ts';
import { resultOf, testText, type Told } from '../policy/test-show.ts';
import { indexOf, liveObjects, objectsOf, sessionOr, type WorldOptions } from '../policy/worlds.ts';
import { placesOf } from '../reach/sources.ts';
import { parseYaml } from '@osier/domain/manifests/yaml';

export interface PolicyTestOptions extends WorldOptions { readonly file?: readonly string[]; readonly packets?: boolean }

/** `policy test`: assertions against what files or the installation say, or against the packets of a lab. */
export async function policyTest(io: Io, path: string, options: PolicyTestOptions): Promise<ExitCode> {
  const text = textOf(path);
  const objects = options.file === undefined ? await liveObjects(options, sessionOr(io, options, '-f FILES'), io) : await objectsOf(options.file, io, options);
  const { assertions, lineOf } = assertionsIn(path, text, objects.source);
  const index = indexOf(objects, io);
  const outcomes = options.packets === true ? await outcomesByPackets(io, index, assertions, objects.source, options) : assertions.map(checker(index, assertions));
  const all = assertions.map((assertion, i): Told => ({ outcome: outcomes[i] as Outcome, line: lineOf(assertion.field) }));
  const places = placesOf(objects);
  const results = all.map((told) => resultOf(told, places));
  const failed = all.filter(({ outcome }) => outcome.result !== 'holds').length;
  const value = { file: path, held: all.length - failed, failed, assertions: results };
  await print(io, options.output, value, [value], () => testText(all, path, places));
  return failed === 0 ? exitCodes.ok : exitCodes.refused;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw usage(`the assertions in ${path} cannot be read: ${(error as Error).message}.`, 'Correct the path.');
  }
}

function assertionsIn(path: string, text: string, words: Words): { assertions: Assertion[]; lineOf: (field: string) => number } {
  const documents = parseYaml(path, text);
  const [document] = documents;
  if (document === undefined || documents.length > 1) throw usage(`${path} holds ${documents.length} documents; assertions are one.`, 'Write one document with assertions: and a list under it.');
  if (document.error !== undefined) throw usage(`${path}:${document.lineOf('')}: is not YAML: ${document.error}.`, 'Correct the syntax.');
  const { assertions, problems } = readAssertions(document.value, words);
  if (problems.length > 0) {
    const said = problems.map(({ path: field, reason, fix }) => `${path}:${document.lineOf(field)}: ${field === '' ? '' : `${field}: `}${reason} ${fix}`);
    throw new Failure(exitCodes.usage, 'assertions', said.join('\n'), problems.length === 1 ? undefined : 'Nothing was checked: correct all of these.');
  }
  return { assertions, lineOf: (field) => document.lineOf(field) };
}
