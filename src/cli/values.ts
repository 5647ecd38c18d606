/**
 * What the values of options are read as.
 */
import { DURATION_PATTERN } from '../contract/units.ts'
import { invalidValue } from './command.ts'

export function sequence(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw invalidValue('expected a number')
  return Number(text)
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw invalidValue('expected a whole number')
  return Number(text)
}

export function positiveNumber(text: string): number {
  const number = wholeNumber(text)
  if (number === 0 || number > 10_000_000) throw invalidValue('expected a number from 1 to 10000000')
  return number
}

export function workerCount(text: string): number {
  const number = wholeNumber(text)
  if (number === 0 || number > MOST_WORKERS) throw invalidValue(`expected a number from 1 to ${MOST_WORKERS}`)
  return number
}

const MOST_WORKERS = 64

export function appended(text: string, before: string[]): string[] {
  return [...before, text]
}

export function list(text: string): string[] {
  return text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')
}

export function duration(text: string): string {
  if (!new RegExp(DURATION_PATTERN).test(text)) throw invalidValue('expected a duration such as 30d or 12h')
  return text
}

export function regex(text: string): RegExp {
  try {
    return new RegExp(text)
  } catch (error) {
    throw invalidValue((error as Error).message)
  }
}

export function percent(text: string): number {
  const value = Number(text)
  if (!(value >= 0 && value <= 100)) throw invalidValue('expected a number from 0 to 100')
  return value
}
