/**
 * What a decision lacks of what was expected of it, in words.
 *
 * Of an object the expectation is a part; a list has as many members, each of which is met; a scalar is the same.
 */
export function differences(expected: unknown, got: unknown, at = ''): string[] {
  if (Array.isArray(expected)) {
    if (!Array.isArray(got)) return [unlike(expected, got, at)]
    if (expected.length !== got.length)
      return [`${at || 'the decision'}: expected ${expected.length} members, got ${got.length}: ${show(got)}`]
    return expected.flatMap((member, index) => differences(member, got[index], `${at}[${index}]`))
  }
  if (isRecord(expected)) {
    if (!isRecord(got)) return [unlike(expected, got, at)]
    return Object.entries(expected).flatMap(([key, value]) =>
      differences(value, Object.hasOwn(got, key) ? got[key] : undefined, at ? `${at}.${key}` : key),
    )
  }
  return Object.is(expected, got) || expected === got ? [] : [unlike(expected, got, at)]
}

function unlike(expected: unknown, got: unknown, at: string): string {
  return `${at || 'the decision'}: expected ${show(expected)}, got ${got === undefined ? 'none' : show(got)}`
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'none'
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
