/**
 * BTF of the object → the text of `src/records.gen.ts`: an interface and a codec for each record, a constant object for each enum.
 * Refuses hidden padding, pointers and anything whose layout would depend on the compiler.
 */
import { type BtfType, type Member, parseBtf, section } from './btf.ts';

/** What becomes TypeScript, named as in bpf/records.h. */
const RECORDS = [
  'config_record',
  'endpoint_record',
  'address_key',
  'address_record',
  'program_record',
  'slot_record',
  'policy_key',
  'policy_entry',
  'rule_record',
  'digest_record',
  'conntrack_key',
  'conntrack_entry',
  'denial_key',
  'denial_entry',
  'drop_count',
  'flow_event',
  'collect_request',
];

const ENUMS = [
  'limits',
  'program_limits',
  'timeouts',
  'grace',
  'address_kind',
  'endpoint_flag',
  'record_flag',
  'direction',
  'action',
  'flow_kind',
  'ended_by',
  'verdict',
  'conntrack_state',
  'drop_reason',
  'collect_mode',
];

type Scalar = { base: 'u8' | 'u16' | 'u32' | 'u64' | 'be16'; enum?: string };
type Shape = Scalar & { length?: number; size: number };

/** An object of an earlier version has not every record of today: `lacking` says what becomes of those. */
export function generate(object: Buffer, lacking: 'refuse' | 'leave out' = 'refuse'): string {
  const types = parseBtf(section(object, '.BTF'));
  const wanted = (kind: 'enum' | 'struct') => (name: string) =>
    lacking === 'refuse' || types.some((type) => type.kind === kind && type.name === name);
  const parts = ENUMS.filter(wanted('enum')).map((name) => enumText(find(types, 'enum', name)));
  for (const name of RECORDS.filter(wanted('struct'))) parts.push(recordText(types, find(types, 'struct', name)));
  const body = parts.join('\n');
  const used = ['checkUint', 'checkUint64', 'getBytes', 'putBytes'].filter((name) => body.includes(`${name}(`));
  return [
    '// Generated from bpf/osier.bpf.o by tools/build-bpf.ts. Edit bpf/records.h, then `npm run build:bpf -w @osier/dataplane`.',
    `import { type Codec, ${used.join(', ')} } from './codec.ts';\n`,
    body,
  ].join('\n');
}

function find<K extends 'enum' | 'struct'>(types: BtfType[], kind: K, name: string): Extract<BtfType, { kind: K }> {
  const found = types.find((type) => type.kind === kind && type.name === name);
  if (!found) throw new Error(`the object's BTF has no ${kind} ${name}`);
  return found as Extract<BtfType, { kind: K }>;
}

function enumText(type: { name: string; values: [string, number][] }): string {
  const prefix = type.values.map(([name]) => name).reduce(commonPrefix).replace(/[^_]*$/, '');
  const name = pascal(type.name);
  const lines = type.values.map(([key, value]) => `  ${key.slice(prefix.length).toLowerCase()}: ${value},`);
  return [
    `export const ${name} = {`,
    ...lines,
    '} as const;',
    `export type ${name}Name = keyof typeof ${name};`,
    `export type ${name} = (typeof ${name})[${name}Name];\n`,
  ].join('\n');
}

function commonPrefix(a: string, b: string): string {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  // one value alone would leave nothing of its name
  return a === b ? a.slice(0, a.indexOf('_') + 1) : a.slice(0, length);
}

function recordText(types: BtfType[], type: { name: string; size: number; members: Member[] }): string {
  const name = pascal(type.name);
  const fields = layout(types, type);
  const visible = fields.filter((field) => !field.name.startsWith('reserved'));
  return [
    `export interface ${name} {`,
    ...visible.map((field) => `  ${camel(field.name)}: ${tsType(field.shape)};`),
    '}\n',
    `export const ${camel(type.name)}: Codec<${name}> = {`,
    `  name: '${type.name}',`,
    `  size: ${type.size},`,
    '  encode(view, at, r) {',
    ...fields.flatMap((field) => (visible.includes(field) ? encodeLines(field) : zeroLines(field))),
    '  },',
    '  decode(view, at) {',
    '    return {',
    ...visible.map((field) => `      ${camel(field.name)}: ${decodeText(field)},`),
    '    };',
    '  },',
    '};\n',
  ].join('\n');
}

interface Field {
  name: string;
  at: number;
  shape: Shape;
}

function layout(types: BtfType[], type: { name: string; size: number; members: Member[] }): Field[] {
  let end = 0;
  const fields = type.members.map((member): Field => {
    const at = member.offset / 8;
    if (at !== end) throw new Error(`hidden padding before ${type.name}.${member.name}: name it reserved…`);
    const shape = shapeOf(types, member.type, `${type.name}.${member.name}`);
    end = at + shape.size * (shape.length ?? 1);
    return { name: member.name, at, shape };
  });
  if (end !== type.size) throw new Error(`hidden padding at the end of ${type.name}: name it reserved…`);
  return fields;
}

function shapeOf(types: BtfType[], id: number, path: string): Shape {
  const type = types[id];
  if (type?.kind === 'typedef' && type.name === '__be16') return { base: 'be16', size: 2 };
  if (type?.kind === 'typedef' || type?.kind === 'qualifier') return shapeOf(types, type.type, path);
  if (type?.kind === 'array') return { ...shapeOf(types, type.type, path), length: type.length };
  if (type?.kind === 'enum') return { base: unsigned(type.size, path), size: type.size, enum: pascal(type.name) };
  if (type?.kind === 'int' && !type.signed) return { base: unsigned(type.size, path), size: type.size };
  throw new Error(`${path} has a type that records may not have`);
}

function unsigned(size: number, path: string): 'u8' | 'u16' | 'u32' | 'u64' {
  if (size !== 1 && size !== 2 && size !== 4 && size !== 8) throw new Error(`${path} has a size of ${size}`);
  return `u${(size * 8) as 8 | 16 | 32 | 64}`;
}

function tsType(shape: Shape): string {
  if (shape.base === 'u8' && shape.length) return 'Uint8Array';
  const one = shape.enum ?? (shape.base === 'u64' ? 'bigint' : 'number');
  if (!shape.length) return one;
  return `[${Array.from({ length: shape.length }, () => one).join(', ')}]`;
}

const ACCESS = {
  u8: ['Uint8', 'checkUint', ', 8', ''],
  u16: ['Uint16', 'checkUint', ', 16', ', true'],
  be16: ['Uint16', 'checkUint', ', 16', ', false'],
  u32: ['Uint32', 'checkUint', ', 32', ', true'],
  u64: ['BigUint64', 'checkUint64', '', ', true'],
} as const;

function encodeLines(field: Field): string[] {
  const { shape } = field;
  const value = `r.${camel(field.name)}`;
  if (shape.base === 'u8' && shape.length) {
    return [`    putBytes(view, at + ${field.at}, ${value}, ${shape.length}, '${camel(field.name)}');`];
  }
  const [access, check, bits, order] = ACCESS[shape.base];
  return Array.from({ length: shape.length ?? 1 }, (_, index) => {
    const item = shape.length ? `${value}[${index}]` : value;
    const label = shape.length ? `${camel(field.name)}[${index}]` : camel(field.name);
    return `    view.set${access}(at + ${field.at + index * shape.size}, ${check}(${item}${bits}, '${label}')${order});`;
  });
}

function zeroLines(field: Field): string[] {
  const bytes = field.shape.size * (field.shape.length ?? 1);
  return Array.from({ length: bytes }, (_, index) => `    view.setUint8(at + ${field.at + index}, 0);`);
}

function decodeText(field: Field): string {
  const { shape } = field;
  if (shape.base === 'u8' && shape.length) return `getBytes(view, at + ${field.at}, ${shape.length})`;
  const [access, , , order] = ACCESS[shape.base];
  const one = (index: number) => {
    const read = `view.get${access}(at + ${field.at + index * shape.size}${order})`;
    return shape.enum ? `${read} as ${shape.enum}` : read;
  };
  if (!shape.length) return one(0);
  return `[${Array.from({ length: shape.length }, (_, index) => one(index)).join(', ')}]`;
}

function pascal(name: string): string {
  return name.replace(/(^|_)(.)/g, (_match, _bar, letter: string) => letter.toUpperCase());
}

function camel(name: string): string {
  return name.replace(/_(.)/g, (_match, letter: string) => letter.toUpperCase());
}
