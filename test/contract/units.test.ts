import { describe, expect, it } from 'vitest'
import { parseDuration, parseSize } from '../../src/contract/units.ts'

describe('parseDuration', () => {
  it.each([
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['30d', 2_592_000_000],
    ['2w', 1_209_600_000],
    ['1h30m', 5_400_000],
    ['1m5s250ms', 65_250],
    ['1.5h', 5_400_000],
    ['0.5s', 500],
  ])('reads %s as %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  it.each([
    '',
    '5',
    's',
    '-1s',
    '+1s',
    ' 5s',
    '5s ',
    '5s\n',
    '5 s',
    '1e3s',
    '.5s',
    '5S',
    '5y',
    '1h30',
    '5sm',
    '٥s',
    'Infinityms',
  ])('refuses %j rather than read a part of it', text => {
    expect(() => parseDuration(text)).toThrow(RangeError)
  })

  it('takes milliseconds for milliseconds, not for minutes and a stray s', () => {
    expect(parseDuration('90ms')).toBe(90)
    expect(parseDuration('90m')).toBe(5_400_000)
  })
})

describe('parseSize', () => {
  it.each([
    ['0B', 0],
    ['512B', 512],
    ['1KB', 1000],
    ['64KiB', 65_536],
    ['1MiB', 1_048_576],
    ['1.5MiB', 1_572_864],
    ['2MB', 2_000_000],
    ['1GiB', 1_073_741_824],
    ['0.0009KiB', 0],
  ])('reads %s as %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes)
  })

  it.each(['', '1', '1kb', '1 KiB', '-1KiB', '1KiB ', '1KiB\n', '1KiB1B', '1e3B', 'KiB', '1TiB'])(
    'refuses %j',
    text => {
      expect(() => parseSize(text)).toThrow(RangeError)
    },
  )
})
