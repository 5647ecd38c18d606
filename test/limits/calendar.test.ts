import { describe, expect, it } from 'vitest'
import { type CalendarWindow, calendarWindow } from '../../src/limits/calendar.ts'

const HOUR = 3_600_000

describe('calendarWindow', () => {
  const of = (at: string, window: CalendarWindow, zone: string) => {
    const { from, until } = calendarWindow(Date.parse(at), window, zone)
    return [new Date(from).toISOString(), new Date(until).toISOString(), (until - from) / HOUR]
  }

  it.each([
    [
      'an ordinary day',
      '2026-11-20T12:00:00Z',
      'calendar_day',
      'Europe/Berlin',
      '2026-11-19T23:00:00.000Z',
      '2026-11-20T23:00:00.000Z',
      24,
    ],
    [
      'a day of 23 hours',
      '2026-03-29T12:00:00Z',
      'calendar_day',
      'Europe/Berlin',
      '2026-03-28T23:00:00.000Z',
      '2026-03-29T22:00:00.000Z',
      23,
    ],
    [
      'a day of 25 hours',
      '2026-10-25T12:00:00Z',
      'calendar_day',
      'Europe/Berlin',
      '2026-10-24T22:00:00.000Z',
      '2026-10-25T23:00:00.000Z',
      25,
    ],
    [
      'a day without a midnight',
      '2018-11-04T12:00:00Z',
      'calendar_day',
      'America/Sao_Paulo',
      '2018-11-04T03:00:00.000Z',
      '2018-11-05T02:00:00.000Z',
      23,
    ],
    [
      'a week from Monday',
      '2026-11-22T22:59:59Z',
      'calendar_week',
      'Europe/Berlin',
      '2026-11-15T23:00:00.000Z',
      '2026-11-22T23:00:00.000Z',
      168,
    ],
    [
      'a month over the end of a year',
      '2026-12-31T23:30:00Z',
      'calendar_month',
      'Europe/Berlin',
      '2026-12-31T23:00:00.000Z',
      '2027-01-31T23:00:00.000Z',
      744,
    ],
    [
      'February of a leap year',
      '2028-02-29T12:00:00Z',
      'calendar_month',
      'UTC',
      '2028-02-01T00:00:00.000Z',
      '2028-03-01T00:00:00.000Z',
      696,
    ],
    [
      'an hour of a zone at 45 minutes',
      '2026-11-20T19:20:00Z',
      'calendar_hour',
      'Asia/Kathmandu',
      '2026-11-20T19:15:00.000Z',
      '2026-11-20T20:15:00.000Z',
      1,
    ],
  ] as const)('knows %s', (_name, at, window, zone, ...expected) => {
    expect(of(at, window, zone)).toEqual(expected)
  })

  it('holds its first instant and not its last', () => {
    const { from, until } = calendarWindow(
      Date.parse('2026-11-20T12:00:00Z'),
      'calendar_day',
      'Europe/Berlin',
    )
    expect(calendarWindow(from, 'calendar_day', 'Europe/Berlin').from).toBe(from)
    expect(calendarWindow(until - 1, 'calendar_day', 'Europe/Berlin').from).toBe(from)
    expect(calendarWindow(until, 'calendar_day', 'Europe/Berlin').from).toBe(until)
  })

  it.each([
    'Europe/Berlin',
    'America/New_York',
    'America/Sao_Paulo',
    'Asia/Tehran',
    'Pacific/Apia',
    'Australia/Lord_Howe',
  ])('leaves no gap and no overlap through twelve years of days in %s', zone => {
    let at = Date.parse('2008-01-01T12:00:00Z')
    let { until } = calendarWindow(at, 'calendar_day', zone)
    while (at < Date.parse('2020-01-01T00:00:00Z')) {
      at = until
      const next = calendarWindow(at, 'calendar_day', zone)
      expect([zone, new Date(next.from).toISOString()]).toEqual([zone, new Date(until).toISOString()])
      expect(next.until).toBeGreaterThan(next.from)
      until = next.until
    }
  })
})
