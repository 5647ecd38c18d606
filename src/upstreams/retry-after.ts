/**
 * `Retry-After`, as a target says it: seconds, or a date.
 *
 * @param date - When the target says that it answered: a date is read on its own clock.
 * @returns Milliseconds; undefined when it says nothing that can be read.
 */
export function retryAfterMs(value: string | undefined, date: string | undefined): number | undefined {
  if (value === undefined) return undefined
  if (/^\s*\d+\s*$/.test(value)) return Number(value) * 1000
  const wait = Date.parse(value) - Date.parse(date ?? '')
  return Number.isNaN(wait) ? undefined : Math.max(0, wait)
}
