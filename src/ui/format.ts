/** Numbers, times and lengths of time, as they are read. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })
const clock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hour12: false,
})
const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

export function count(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–'
  return value >= 10_000 ? short.format(value) : whole.format(value)
}

/** So many a second. */
export function rate(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–'
  return value >= 100 ? count(value) : String(Math.round(value * 10) / 10)
}

export function ms(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–'
  if (value < 1) return `${Math.round(value * 100) / 100} ms`
  if (value < 1000) return `${value < 10 ? Math.round(value * 10) / 10 : Math.round(value)} ms`
  return value < 60_000 ? `${Math.round(value / 100) / 10} s` : seconds(value / 1000)
}

export function seconds(value: number): string {
  const total = Math.max(0, Math.floor(value))
  const units: [number, string][] = [
    [Math.floor(total / 86_400), 'd'],
    [Math.floor(total / 3600) % 24, 'h'],
    [Math.floor(total / 60) % 60, 'min'],
    [total % 60, 's'],
  ]
  const first = units.findIndex(([amount]) => amount > 0)
  if (first < 0) return '0 s'
  return units
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(' ')
}

/** How long ago, or how long still. */
export function ago(iso: string | null | undefined): string {
  if (!iso) return '–'
  const away = (Date.now() - Date.parse(iso)) / 1000
  return away < 0 ? `in ${seconds(-away)}` : `${seconds(away)} ago`
}

export function time(iso: unknown): string {
  return typeof iso === 'string' ? clock.format(new Date(iso)) : '–'
}

export function moment(iso: string | null | undefined): string {
  return iso ? day.format(new Date(iso)) : '–'
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}
