import type { FlowLine } from '../client.ts';
import type { PlacedEnvironment } from '../inventory.ts';
import type { Probe } from '../probes.ts';

export type Colour = (name: 'green' | 'red' | 'yellow' | 'cyan' | 'dim' | 'bold', text: string) => string;
export const plain: Colour = (_name, text) => text;

export interface Scene {
  readonly environments: readonly PlacedEnvironment[];
  readonly inside: readonly Probe[];
  readonly across: readonly Probe[];
  /** Connections that arrived at listeners while the others' workloads knocked at their addresses. */
  readonly arrivedAcross: number;
  readonly expected: (from: string, to: string) => boolean;
  readonly denied: FlowLine | undefined;
}

/** Two boxes and the wall between them fit into 80 columns. */
const inner = 33;
/** Colours take no room on the screen. */
const visible = (text: string): number => text.replaceAll(/\u001b\[[0-9;]*m/g, '').length;
const fill = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - visible(text)));

/** The whole picture, as lines; two environments side by side where the screen is wide enough. */
export function draw(scene: Scene, o: { columns: number; colour: Colour }): string {
  const boxes = scene.environments.map((e) => box(e, scene, o.colour));
  const wide = o.columns >= boxes.length * (inner + 4) + (boxes.length - 1) * 5;
  const between = wall(scene, o.colour);
  const rooms = wide ? sideBySide(boxes, between) : boxes.flatMap((lines, index) => (index === 0 ? lines : [`      ${between.join('  ')}`, ...lines]));
  return ['', ...rooms, '', ...machines(scene, o.colour), '', ...summary(scene, o.colour), ...deniedRecord(scene, o.colour)].join('\n');
}

function box(e: PlacedEnvironment, scene: Scene, colour: Colour): string[] {
  const title = ` ${e.domain}/${e.project}/${e.name} `;
  const top = `╭─${colour('bold', title)}${'─'.repeat(Math.max(0, inner - visible(title) + 1))}╮`;
  const line = (text: string): string => `│ ${fill(text, inner)} │`;
  const workloads = e.workloads.flatMap((w) => {
    const path = `${e.name}/${w.name}`;
    const arrows = scene.inside.filter((p) => p.from === path).map((p) => arrow(p, scene.expected(p.from, p.to), colour));
    return [line(`${colour('bold', fill(w.name, 7))} ${colour('cyan', fill(w.address, 12))} on ${w.node}`), line(`   ${arrows.join('  ')}`)];
  });
  return [top, line(colour('dim', `network ${e.network} ${e.subnet}`)), line(''), ...workloads, `╰${'─'.repeat(inner + 2)}╯`];
}

function arrow(p: Probe, wanted: boolean, colour: Colour): string {
  const text = `${p.reached ? '✓' : '✗'} ${p.to.split('/')[1] ?? ''}`;
  if (p.reached !== wanted) return colour('red', `${text} WRONG`);
  return p.reached ? colour('green', text) : colour('dim', text);
}

/** What stands between two environments. */
function wall(scene: Scene, colour: Colour): string[] {
  const tight = scene.across.every((p) => !p.reached) && scene.arrivedAcross === 0;
  return tight ? ['║', '║', colour('green', '✗'), '║'] : [colour('red', '!'), colour('red', '!')];
}

function sideBySide(boxes: readonly string[][], between: readonly string[]): string[] {
  const height = Math.max(...boxes.map((lines) => lines.length));
  return Array.from({ length: height }, (_, row) =>
    boxes.map((lines) => fill(lines[row] ?? '', inner + 4)).join(`  ${row === 0 || row === height - 1 ? ' ' : (between[row % between.length] ?? '')}  `));
}

/** Which workloads share a node, whatever their addresses are. */
function machines(scene: Scene, colour: Colour): string[] {
  const all = scene.environments.flatMap((e) => e.workloads);
  const nodes = [...new Set(all.map((w) => w.node))].sort();
  return nodes.map((node) => {
    const here = all.filter((w) => w.node === node).map((w) => `${w.environment}/${w.name} ${colour('dim', w.address)}`);
    return `  ${colour('bold', node)}  ${here.join('  ')}`;
  });
}

function summary(scene: Scene, colour: Colour): string[] {
  const right = scene.inside.filter((p) => p.reached === scene.expected(p.from, p.to)).length;
  const crossed = scene.across.filter((p) => p.reached).length;
  const good = (ok: boolean, text: string): string => `  ${ok ? colour('green', '✓') : colour('red', '✗')} ${text}`;
  return [
    good(right === scene.inside.length, `inside: ${right} of ${scene.inside.length} connections went as the policies say (${scene.inside.filter((p) => p.reached).length} allowed, ${scene.inside.filter((p) => !p.reached).length} denied)`),
    good(crossed === 0 && scene.arrivedAcross === 0, `across: ${scene.across.length} attempts at the other environment's equal addresses, ${crossed} reached it, ${scene.arrivedAcross} arrived`),
  ];
}

function deniedRecord(scene: Scene, colour: Colour): string[] {
  const flow = scene.denied;
  if (flow === undefined) return [`  ${colour('red', '✗')} no flow record of the denied attempt was found`];
  const by = flow.decisions.at(-1);
  // Denials of one conversation after another are one record, whose source port is left out.
  const side = (s: FlowLine['source']): string => `${s.endpoint ?? s.address} (${s.address}${s.port === 0 ? '' : `:${s.port}`})`;
  return [
    `  ${colour('green', '✓')} a denied attempt is on record:`,
    `      ${side(flow.source)} ${colour('red', '─✗─►')} ${side(flow.destination)} ${flow.protocol}`,
    `      denied on ${flow.node} by policy ${colour('yellow', by?.policy ?? '?')}, rule ${colour('yellow', by?.rule ?? '?')} (${by?.direction ?? '?'}), at revision ${flow.revision}`,
  ];
}

/** Every reason for which the demonstration did not show what it is to show. */
export function failures(scene: Scene): string[] {
  const wrong = scene.inside.filter((p) => p.reached !== scene.expected(p.from, p.to)).map((p) => `${p.from} → ${p.to} port ${p.port}: ${p.reached ? 'reached, and must not be' : 'not reached, and must be'}`);
  const crossed = scene.across.filter((p) => p.reached).map((p) => `${p.from} reached ${p.to} in another environment`);
  const by = scene.denied?.decisions.at(-1);
  return [
    ...(scene.inside.length === 0 || scene.across.length === 0 ? ['nothing was probed'] : []), ...wrong, ...crossed,
    ...(scene.arrivedAcross === 0 ? [] : [`${scene.arrivedAcross} connections arrived from another environment`]),
    ...(by === undefined || by.policy === '' || by.rule === '' ? ['no flow record names the rule of the denied attempt'] : []),
  ];
}
