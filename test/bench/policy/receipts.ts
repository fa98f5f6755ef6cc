import { connect } from '@nats-io/transport-node';
import type { UserLogin } from '@osier/bus/authority';
import { authenticatorOf } from '@osier/bus/login';

/** When each node said first that it enforces a revision. */
export interface ReceiptWatch {
  /** For each node, when its first receipt at or above the revision came (`performance.now()`); waits for all of them. */
  covering(revision: number, withinMs?: number): Promise<number[]>;
  /** What is not needed any more. */
  forget(): void;
  close(): Promise<void>;
}

/** Only the beginning of a receipt is read: a thousand endpoints may follow. */
const headLength = 400;

export async function watchReceipts(url: string, login: UserLogin, nodes: readonly string[]): Promise<ReceiptWatch> {
  const nats = await connect({ servers: url, authenticator: authenticatorOf(() => login), name: 'watch of the bench', reconnect: false, noAsyncTraces: true });
  const seen = new Map<string, { revision: number; at: number }[]>(nodes.map((name) => [name, []]));
  const decoder = new TextDecoder();
  let wake = (): void => undefined;
  nats.subscribe('osier.receipt.*', { callback: (_, message) => {
    const at = performance.now();
    const head = decoder.decode(message.data.subarray(0, headLength));
    const name = message.subject.slice(message.subject.lastIndexOf('.') + 1);
    seen.get(name)?.push({ revision: Number(/"revision":(\d+)/.exec(head)?.[1] ?? -1), at });
    wake();
  } });
  await nats.flush();
  const times = (revision: number): (number | undefined)[] => [...seen.values()].map((all) => all.find((one) => one.revision >= revision)?.at);
  return {
    covering: (revision, withinMs = 120_000) => new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`revision ${revision}: ${times(revision).filter((t) => t === undefined).length} of ${seen.size} nodes have not confirmed it; ${[...seen].slice(0, 3).map(([name, all]) => `${name} is at ${all.at(-1)?.revision ?? 'nothing'}`).join(', ')}`)), withinMs);
      wake = () => {
        const found = times(revision);
        if (found.some((time) => time === undefined)) return;
        clearTimeout(late);
        wake = () => undefined;
        resolve(found as number[]);
      };
      wake();
    }),
    forget: () => seen.forEach((all) => all.splice(0, all.length - 1)),
    close: () => nats.close(),
  };
}
