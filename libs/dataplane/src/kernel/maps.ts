/** The maps by name, and what the kernel says of one. */
import { failed } from './libc.ts';
import { libbpf } from './libbpf.ts';

export const MAPS = [
  'config',
  'revisions',
  'endpoints',
  'addresses',
  'policy',
  'rules',
  'identities',
  'policies',
  'programs',
  'slots',
  'conntrack',
  'denials',
  'drops',
  'lost',
  'flows',
] as const;
export type MapName = (typeof MAPS)[number];

/** Of enum bpf_map_type. */
export const MapType = { array: 2, perCpuArray: 6, ring: 27 };

export interface MapShape {
  type: number;
  keySize: number;
  valueSize: number;
  maxEntries: number;
}

export function shapeOf(fd: number, name: string): MapShape {
  const info = new Uint8Array(256);
  const result = libbpf().info(fd, info, Uint32Array.of(info.length));
  if (result < 0) throw failed('reading the shape of a map', name, result);
  const view = new DataView(info.buffer);
  return {
    type: view.getUint32(0, true),
    keySize: view.getUint32(8, true),
    valueSize: view.getUint32(12, true),
    maxEntries: view.getUint32(16, true),
  };
}
