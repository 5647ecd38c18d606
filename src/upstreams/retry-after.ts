/**
 * `Retry-After`, as a target says it: seconds, or a date.
 *
 * @param date - When the target says that it answered: a date is read on its own clock.
 * @returns Milliseconds; undefined when it says nothing that can be read.
 */
export function retryAfterMs(value: string | undefined, date: string | undefined): number | undefined {
  if (value === undefined) return undefined
  if (/^\s*\d+\s*$/.test(value)) return Number(value) * 1000
  // An HTTP date begins with the day of the week; `Date.parse` would read much else.
  if (!/^\s*[A-Za-z]{3}/.test(value)) return undefined
  const wait = Date.parse(value) - Date.parse(date ?? '')
  return Number.isNaN(wait) ? undefined : Math.max(0, wait)
}
