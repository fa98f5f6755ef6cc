import { openapi } from '@osier/api/openapi';

export const generate = (): Promise<Record<string, string>> =>
  Promise.resolve({ 'docs/reference/openapi.json': `${JSON.stringify(openapi(), undefined, 2)}\n` });
