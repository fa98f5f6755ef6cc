/** What the fake and the real kernel refuse alike, before anything is written. */
import { type Codec, encodeOne, FieldError } from '../codec.ts';
import { type ConfigRecord } from '../records.gen.ts';
import { KernelError, LINK_PREFIX, type VethOptions, type VxlanOptions } from './kernel.ts';

export function encodeChecked<T>(codec: Codec<T>, value: T, table: string): Uint8Array {
  try {
    return encodeOne(codec, value);
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    throw new KernelError('invalid-record', error.message, `${table}.${error.field}`, 'Give a value that the field can hold.');
  }
}

export function tableFull(table: string, capacity: number, wanted: number): KernelError {
  return new KernelError(
    'table-full',
    `the table holds ${capacity} entries and ${wanted} were wanted`,
    table,
    'Remove entries, or create the maps anew with a larger size.',
  );
}

export function checkConfigChange(change: Partial<ConfigRecord>): void {
  if ('epoch' in change) {
    throw new KernelError('invalid-record', 'the epoch is moved by flip only', 'config.epoch', 'Call flip(revision).');
  }
}

export function checkDeviceName(name: string): void {
  if (!name.startsWith(LINK_PREFIX) || !/^[A-Za-z0-9_-]{1,15}$/.test(name)) {
    throw new KernelError(
      'invalid-record',
      `"${name}" is not a device name of ours`,
      'links',
      `Use at most 15 of A-Z a-z 0-9 _ - and begin with ${LINK_PREFIX}.`,
    );
  }
}

const LEAST_MTU = 576;
const MOST_MTU = 65535;

function checkMtu(mtu: number, name: string): void {
  if (!Number.isInteger(mtu) || mtu < LEAST_MTU || mtu > MOST_MTU) {
    throw new KernelError('invalid-record', `an MTU of ${mtu} is out of range`, `links.${name}.mtu`, `Use ${LEAST_MTU} to ${MOST_MTU}.`);
  }
}

export function checkVeth(options: VethOptions): void {
  checkDeviceName(options.hostName);
  checkMtu(options.mtu, options.hostName);
  if (options.mac.length !== 6 || (options.mac[0]! & 1) === 1) {
    throw new KernelError('invalid-record', 'the MAC is not a unicast address of 6 bytes', `links.${options.hostName}.mac`, 'Give a unicast MAC.');
  }
  if (options.address.length !== 16 || !isIpv4(options.address)) {
    throw new KernelError(
      'invalid-record',
      'the address is not an IPv4 address mapped into 16 bytes',
      `links.${options.hostName}.address`,
      'Give ::ffff:a.b.c.d as 16 bytes.',
    );
  }
}

export function checkVxlan(options: VxlanOptions): void {
  checkDeviceName(options.name);
  checkMtu(options.mtu, options.name);
  if (!Number.isInteger(options.port) || options.port < 1 || options.port > 65535) {
    throw new KernelError('invalid-record', `${options.port} is not a port`, `links.${options.name}.port`, 'Use 1 to 65535.');
  }
}

export function isIpv4(address: Uint8Array): boolean {
  return address.every((byte, index) => index >= 12 || byte === (index < 10 ? 0 : 0xff));
}

export function closedError(): KernelError {
  return new KernelError('closed', 'this kernel handle was closed', 'kernel', 'Open it again with openKernel.');
}
