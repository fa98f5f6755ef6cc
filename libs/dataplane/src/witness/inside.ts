/** A workload's own side: what its device holds, from three dumps in its network namespace. Reads only. */
import { dump, pick, word } from './netlink.ts';
import { close, routeSocket } from './syscall.ts';

export interface InsideSeen {
  up: boolean;
  /** Hex, as `02:00:00:00:00:01`. */
  mac: string;
  /** IPv4 addresses of the device with their prefix length, as `10.0.0.1/32`. */
  addresses: string[];
  /** Whether the main table has an IPv4 default route, through whichever device. */
  defaultRoute: boolean;
}

const GET_LINK = 18;
const GET_ADDRESS = 22;
const GET_ROUTE = 26;
const AF_INET = 2;
const MAIN_TABLE = 254;
const UNICAST = 1;

const hex = (bytes: Buffer | undefined): string => (bytes ? [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':') : '');

/** The device of this name in a workload's namespace; undefined: there is none. Throws WitnessError where the namespace cannot be entered. */
export function lookInside(netnsPath: string, name: string): InsideSeen | undefined {
  const fd = routeSocket(netnsPath);
  try {
    const device = dump(fd, GET_LINK, Buffer.alloc(16)).find((answer) => word(pick(answer.subarray(16), 3)) === name);
    if (device === undefined) return undefined;
    const ifindex = device.readInt32LE(4);
    const question = Buffer.alloc(12);
    question[0] = AF_INET;
    const addresses = dump(fd, GET_ADDRESS, question.subarray(0, 8))
      .filter((answer) => answer[0] === AF_INET && answer.readUInt32LE(4) === ifindex)
      .map((answer) => `${[...(pick(answer.subarray(8), 2) ?? [])].join('.')}/${answer[1]}`);
    const defaultRoute = dump(fd, GET_ROUTE, question).some((answer) => {
      const [family, prefix, table, type] = [answer[0], answer[1], answer[4], answer[7]];
      return family === AF_INET && prefix === 0 && table === MAIN_TABLE && type === UNICAST;
    });
    return { up: (device.readUInt32LE(8) & 1) === 1, mac: hex(pick(device.subarray(16), 1)), addresses, defaultRoute };
  } finally {
    close(fd);
  }
}
