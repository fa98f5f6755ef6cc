/**
 * What a scalar without quotes and without a tag is to Kubernetes, which reads YAML 1.1 as go-yaml v2 does: 010 is eight, 1_000 a thousand, yes is true; and 123e4567, which no float can hold, is text.
 * y and n are text here, as to most writers of YAML, though not to go-yaml. Times stay text.
 */
const words: Readonly<Record<string, boolean | number | null>> = Object.fromEntries([
  ...['yes', 'true', 'on'].flatMap((word) => spellings(word, true)), ...['no', 'false', 'off'].flatMap((word) => spellings(word, false)), ...spellings('null', null), ['', null], ['~', null],
  ...['.inf', '+.inf'].flatMap((word) => spellings(word, Number.POSITIVE_INFINITY)), ...spellings('-.inf', Number.NEGATIVE_INFINITY), ['.nan', Number.NaN], ['.NaN', Number.NaN], ['.NAN', Number.NaN],
]);
function spellings<T>(word: string, value: T): [string, T][] {
  const first = word.search(/[a-z]/);
  return [[word, value], [word.slice(0, first) + word.charAt(first).toUpperCase() + word.slice(first + 1), value], [word.toUpperCase(), value]];
}

const integers: readonly (readonly [RegExp, number])[] = [[/^([-+]?)0x([0-9a-f]+)$/i, 16], [/^([-+]?)0b([01]+)$/i, 2], [/^([-+]?)0o?([0-7]+)$/i, 8], [/^([-+]?)([1-9]\d*|0)$/, 10]];
const decimal = /^[-+]?(\.\d+|\d+(\.\d*)?)(e[-+]?\d+)?$/i;
const pointFirst = /^\.\d+(_\d+)*(e[-+]?\d+(_\d+)*)?$/i;

export function plainScalar(text: string): string | number | boolean | null {
  if (Object.hasOwn(words, text)) return words[text] ?? null;
  if (text.startsWith('.')) return (pointFirst.test(text) ? finite(text.replaceAll('_', '')) : undefined) ?? text;
  if (!/^[-+\d]/.test(text)) return text;
  const plain = text.replaceAll('_', '');
  return integer(plain) ?? (decimal.test(plain) ? finite(plain) : undefined) ?? text;
}

/** One of 64 bits; whatever is larger is read as a float. */
function integer(text: string): number | undefined {
  for (const [form, base] of integers) {
    const match = form.exec(text);
    if (match === null) continue;
    const value = Number.parseInt(match[2] ?? '', base);
    const most = match[1] === '' ? 2 ** 64 : 2 ** 63;
    if (value < most || (match[1] === '-' && value === most)) return match[1] === '-' ? -value : value;
  }
  return undefined;
}

function finite(text: string): number | undefined {
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}
