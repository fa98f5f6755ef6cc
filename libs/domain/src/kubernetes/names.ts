import type { Report } from './problem.ts';
import { shown } from './problem.ts';

/** What Kubernetes calls valid names; each function says what is wrong, or nothing. */
const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const qualified = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const lengths = { label: 63, subdomain: 253, portName: 15 } as const;

export function dnsLabel(value: string): string | undefined {
  if (value.length > lengths.label) return `must be no more than ${lengths.label} characters`;
  return label.test(value) ? undefined : 'must be lower-case letters, digits and "-", and begin and end with a letter or digit (RFC 1123 label)';
}

export function dnsSubdomain(value: string): string | undefined {
  if (value.length > lengths.subdomain) return `must be no more than ${lengths.subdomain} characters`;
  return value.split('.').every((part) => label.test(part)) ? undefined : 'must be lower-case letters, digits, "-" and ".", and each part begin and end with a letter or digit (RFC 1123 subdomain)';
}

export function qualifiedName(value: string): string | undefined {
  const parts = value.split('/');
  if (parts.length > 2) return `${shown(value)} is not a key: at most one "/", after a prefix such as example.com`;
  const name = parts.at(-1) ?? '';
  if (parts.length === 2) {
    const wrong = parts[0] === '' ? 'must not be empty' : dnsSubdomain(parts[0] ?? '');
    if (wrong !== undefined) return `the prefix of ${shown(value)} ${wrong}`;
  }
  if (name === '') return `the name of ${shown(value)} must not be empty`;
  if (name.length > lengths.label) return `the name of ${shown(value)} must be no more than ${lengths.label} characters`;
  return qualified.test(name) ? undefined : `the name of ${shown(value)} must be letters, digits, "-", "_" and ".", and begin and end with a letter or digit`;
}

export function labelValue(value: string): string | undefined {
  if (value.length > lengths.label) return `the value ${shown(value)} must be no more than ${lengths.label} characters`;
  return value === '' || qualified.test(value) ? undefined : `the value ${shown(value)} must be empty, or letters, digits, "-", "_" and ".", and begin and end with a letter or digit`;
}

/** A service name as in RFC 6335. */
export function portName(value: string): string | undefined {
  if (value.length > lengths.portName) return `must be no more than ${lengths.portName} characters`;
  if (!/^[-a-z0-9]+$/.test(value)) return 'must be lower-case letters, digits and "-"';
  if (!/[a-z]/.test(value)) return 'must have at least one letter: a port number is written without quotes';
  if (value.includes('--')) return 'must not have two "-" in a row';
  return value.startsWith('-') || value.endsWith('-') ? 'must not begin or end with "-"' : undefined;
}

export function checkLabels(labels: Readonly<Record<string, unknown>>, path: string, report: Report): void {
  for (const [key, value] of Object.entries(labels)) {
    const wrong = qualifiedName(key) ?? (typeof value === 'string' ? labelValue(value) : undefined);
    if (wrong !== undefined) report(path, wrong);
  }
}
