/** What is said against a config that its schema has nothing to say against. */
import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { FindingCode } from '../contract/finding-meanings.ts'
import type { JsonPath } from './document.ts'

export interface Objection {
  readonly code: FindingCode
  readonly path: JsonPath
  readonly message: string
}

/** One, where there is something to say. */
export function objectIf(
  is: boolean,
  code: FindingCode,
  path: JsonPath,
  message: string,
): readonly Objection[] {
  return is ? [{ code, path, message }] : []
}

/** Whether HTTP itself would take it. */
export function isHeader([name, value]: readonly [string, string]): boolean {
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value)
    return true
  } catch {
    return false
  }
}
