/**
 * Numbers in Prometheus's text format, as far as model servers use it.
 */

/** A name, labels that may hold anything in quotes, a number. */
const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})?\s+(\S+)/

/** @returns Value by name; several series of one name, as of several engines, are added up. */
export function gauges(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [, name, value] = SAMPLE.exec(line) ?? []
    const number = Number(value)
    if (name === undefined || !Number.isFinite(number)) continue
    found.set(name, (found.get(name) ?? 0) + number)
  }
  return found
}
