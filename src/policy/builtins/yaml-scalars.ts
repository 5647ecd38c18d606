/**
 * YAML scalars: what plain text means, as the YAML library that OPA uses resolves it (YAML 1.1, without
 * sexagesimal numbers, and with dates left as text).
 */
import { RegoNumber, type Value } from '../values/values.ts'
import { BuiltinError } from './builtin.ts'
import { formatFloat } from './go-float.ts'

const TRUE = /^(?:y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON)$/
const FALSE = /^(?:n|N|no|No|NO|false|False|FALSE|off|Off|OFF)$/
const NULL = /^(?:|~|null|Null|NULL)$/
const NOT_A_NUMBER = /^(?:\.nan|\.NaN|\.NAN|[+-]?(?:\.inf|\.Inf|\.INF))$/
const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/
const INTEGER = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))$/
const LARGEST = 2n ** 64n
const SMALLEST = -(2n ** 63n)

/** Whether plain text would be read as something else than itself. */
export function isAmbiguous(text: string): boolean {
  return (
    NOT_A_NUMBER.test(text) || typeof plainValue(text) !== 'string' || isDate(text) || isSexagesimal(text)
  )
}

/** @throws BuiltinError for what JSON cannot hold: infinities and what is not a number */
export function resolvePlain(text: string): Value {
  if (NOT_A_NUMBER.test(text)) throw new BuiltinError(`json: unsupported value: ${text}`)
  return plainValue(text)
}

function plainValue(text: string): Value {
  if (NULL.test(text)) return null
  if (TRUE.test(text)) return true
  if (FALSE.test(text)) return false
  return numberIn(text) ?? text
}

function numberIn(text: string): RegoNumber | undefined {
  if (!/^[-+.0-9]/.test(text)) return undefined
  const plain = text.replaceAll('_', '')
  const whole = integerIn(plain)
  if (whole !== undefined && whole < LARGEST && whole >= SMALLEST) return RegoNumber.of(whole)
  return FLOAT.test(plain) && Number.isFinite(Number(plain)) ? floatValue(Number(plain)) : undefined
}

function integerIn(plain: string): bigint | undefined {
  const match = INTEGER.exec(plain)
  if (!match) return undefined
  const [, sign, hex, binary, octal, decimal] = match
  const digits = hex ? `0x${hex}` : binary ? `0b${binary}` : octal ? `0o${octal}` : (decimal as string)
  return sign === '-' ? -BigInt(digits) : BigInt(digits)
}

/** As Go writes a float64 in JSON. */
function floatValue(value: number): RegoNumber {
  const size = Math.abs(value)
  const small = size !== 0 && (size < 1e-6 || size >= 1e21)
  return new RegoNumber(formatFloat(value, small ? 'e' : 'f', -1).replace(/e-0(\d)$/, 'e-$1'))
}

function isDate(text: string): boolean {
  return /^\d{4}-\d{1,2}-\d{1,2}(?:(?:[Tt]|[ \t]+)\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d+)?(?:Z|[ \t]*[-+]\d{1,2}(?::\d\d)?)?)?$/.test(
    text,
  )
}

function isSexagesimal(text: string): boolean {
  return /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/.test(text)
}
