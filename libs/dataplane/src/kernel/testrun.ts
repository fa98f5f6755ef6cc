/** BPF_PROG_TEST_RUN of a tc program: bytes in, verdict and bytes out. */
import { failed } from './libc.ts';
import { addressOf, libbpf } from './libbpf.ts';

/** struct bpf_test_run_opts of libbpf 1.x. */
const OPTIONS_SIZE = 80;
const AT = { size: 0, dataIn: 8, dataOut: 16, sizeIn: 24, sizeOut: 28, contextIn: 32, contextSizeIn: 48, verdict: 56 };

export interface RunResult {
  verdict: number;
  packet: Uint8Array;
}

/** `context` is a struct __sk_buff, for the few fields that a test run takes over (ifindex at byte 40). */
export function testRun(programFd: number, packet: Uint8Array, context?: Uint8Array): RunResult {
  const options = new Uint8Array(OPTIONS_SIZE);
  const view = new DataView(options.buffer);
  const output = new Uint8Array(packet.length + 256);
  view.setBigUint64(AT.size, BigInt(options.length), true);
  view.setBigUint64(AT.dataIn, addressOf(packet), true);
  view.setBigUint64(AT.dataOut, addressOf(output), true);
  view.setUint32(AT.sizeIn, packet.length, true);
  view.setUint32(AT.sizeOut, output.length, true);
  if (context) {
    view.setBigUint64(AT.contextIn, addressOf(context), true);
    view.setUint32(AT.contextSizeIn, context.length, true);
  }
  const result = libbpf().testRun(programFd, options);
  if (result < 0) throw failed('a test run', 'program', result);
  return { verdict: view.getUint32(AT.verdict, true), packet: output.subarray(0, view.getUint32(AT.sizeOut, true)) };
}
