import type { AppProtocol } from '../kubernetes/application.ts';

/**
 * What a workload of the lab says, and how it is told apart from every other: a listener greets each new connection with its name and a
 * random nonce of its own, so that whoever was reached is known by more than an address, which another environment may have as well.
 *
 *   osier-listener staging/web 8f3c…\n      then it echoes what it receives;
 *   count\n                                 makes it count instead, and say at the end of the stream: {"bytes":…,"longestGapMs":…}\n
 */
export interface Greeting { readonly identity: string; readonly nonce: string }
export const greet = ({ identity, nonce }: Greeting): string => `osier-listener ${identity} ${nonce}\n`;
export function readGreeting(line: string): Greeting | undefined {
  const match = /^osier-listener (\S+) ([0-9a-f]{32})\n?$/.exec(line);
  return match?.[1] === undefined || match[2] === undefined ? undefined : { identity: match[1], nonce: match[2] };
}
export const countWord = 'count\n';

export interface WorkloadPort { readonly protocol: AppProtocol; readonly port: number }
/** What a workload process is told at its start, as a file. */
export interface WorkloadSpec {
  readonly identity: string;
  readonly ports: readonly WorkloadPort[];
  /** Unix socket on which it is asked to do things. */
  readonly control: string;
}

export interface ProbeTarget { readonly address: string; readonly port: number; readonly protocol: AppProtocol }
export type ProbeResult =
  | { readonly result: 'answered'; readonly greeting: Greeting; readonly ms: number }
  /** `refused`: something said no. `timeout`: nothing said anything. `silent`: connected, but no greeting came. */
  | { readonly result: 'refused' | 'timeout' | 'silent' | 'unreachable'; readonly ms: number; readonly detail?: string };

/** Questions on the control socket, by their `do`, with the answer of each. */
export interface WorkloadAnswers {
  hello: Greeting & { readonly pid: number; readonly accepted: number };
  probe: { readonly results: readonly ProbeResult[] };
  /** What it declares is these from now on. */
  serve: Record<string, never>;
  /** Also on these ports, until it is told to stop with those. */
  listen: Record<string, never>;
  stop: Record<string, never>;
  open: Greeting;
  say: { readonly ms: number };
  close: Record<string, never>;
  transfer: TransferResult;
}
export interface TransferResult { readonly sentBytes: number; readonly receivedBytes: number; readonly longestGapMs: number; readonly seconds: number; readonly cutShort?: string }
