import { reference } from '@osier/cli/reference';

export const generate = (): Promise<Record<string, string>> => Promise.resolve({ 'docs/reference/cli.md': reference() });
