import { Agent, request } from 'node:http';

export interface Answer { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly text: string; json<T = Record<string, unknown>>(): T }
export interface Asked { readonly headers?: Readonly<Record<string, string>>; readonly body?: string | undefined }

const agent = new Agent({ keepAlive: true, maxSockets: 32 });

/** One request, its path as it is written: nothing is made regular on the way. */
export function call(url: string, method: string, path: string, { headers = {}, body }: Asked = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const framed = body === undefined ? headers : { ...headers, 'content-length': String(Buffer.byteLength(body)) };
    const { hostname, port } = new URL(url);
    const asking = request({ hostname, port, path, method, headers: framed, agent, timeout: 20_000 }, (response) => {
      const got: Buffer[] = [];
      response.on('data', (chunk: Buffer) => got.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(got).toString();
        resolve({ status: response.statusCode ?? 0, headers: response.headers as Record<string, string>, text, json: <T>() => JSON.parse(text) as T });
      });
    });
    asking.on('error', reject).on('timeout', () => asking.destroy(new Error(`no answer to ${method} ${path}`)));
    asking.end(body);
  });
}
/** Connections that wait for a next request. */
export const hangUp = (): void => agent.destroy();
